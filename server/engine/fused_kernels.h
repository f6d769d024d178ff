// Kernels of our own for CUDA. LibTorch does each of these in several operations, every one of which reads
// and writes all that it works on, and outside matrix products a pass on a GPU costs the bytes it moves
// (docs/performance.md). Each has a plain form of LibTorch operations where it is called, which is what other
// devices run and tests compare with.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/decoder_spec.h"
#include "server/engine/norm.h"

namespace induct::engine {

// Whether there are such kernels for tensors like this one: on a CUDA device, in a build that had nvcc.
bool HasFusedKernels(const at::Tensor& tensor);

// Whether FusedNorm takes this input: [S, D] float32, contiguous, in rows that fit a multiprocessor's shared
// memory.
bool HasFusedNorm(const at::Tensor& input);

// ApplyNorm.
at::Tensor FusedNorm(const Norm& norm, NormKind kind, double epsilon, const at::Tensor& input,
                     c10::ScalarType output_dtype);

// RotaryTable::Apply: turns heads [S, n, K] in place; cos, sin: [positions, 1, R / 2] float32.
void FusedRotate(const at::Tensor& heads, const at::Tensor& positions, const at::Tensor& cos,
                 const at::Tensor& sin);

// [M, H] float32: exp(scale * q . k - log_sum_exp of q) for the M pairs of rows, of queries [S, H, K] and
// keys [S, G, K]; log_sum_exp: [S, H] float32, contiguous.
at::Tensor FusedPairProbabilities(const at::Tensor& queries, const at::Tensor& keys,
                                  const at::Tensor& log_sum_exp, const at::Tensor& query_rows,
                                  const at::Tensor& key_rows, double scale);

// sums[groups[i]] += weights[i] * probabilities[rows[i] - first_row], in no fixed order. sums: [n, H] double;
// probabilities: [M, H] float32, contiguous; the others have an element for each of the targets.
void FusedWeightedSum(const at::Tensor& sums, const at::Tensor& groups, const at::Tensor& weights,
                      const at::Tensor& probabilities, const at::Tensor& rows, int64_t first_row);

// residual += first, then += second. residual: [S, D] float32; the others of it in one dtype; all contiguous.
void FusedAdd(const at::Tensor& residual, const at::Tensor& first, const at::Tensor& second);

}  // namespace induct::engine
