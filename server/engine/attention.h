// Causal attention over a micro-batch, and the reading of its probabilities.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "server/engine/readout.h"

namespace induct::engine {

// How single probabilities are read.
enum class AttentionPath {
  // P[t, s] = exp(scale * q_t . k_s - logsumexp_t), computed for the targets only; the pattern is never
  // formed.
  kLogSumExp,
  // The pattern [H, T, T] of a few prompts at a time, in float32. On every device; the reference for the
  // other.
  kPattern,
};

// The path for these prompts: kLogSumExp unless so many targets are asked for that forming the pattern costs
// less, or the device has no kernel for such heads.
// `queries`: as AttentionInput's.
AttentionPath ChoosePath(std::span<const PackedPrompt> prompts, const at::Tensor& queries);

// What attention reads, after rotation, packed over prompts. K contiguous, and G divides H: query head h
// reads key-value head h / (H / G).
struct AttentionInput {
  at::Tensor queries;  // [S, H, K]
  at::Tensor keys;     // [S, G, K]
  at::Tensor values;   // [S, G, K]; undefined where only probabilities are wanted
};

// Attends within each of `prompts`, whose rows are those of `input`, one after another, and adds the targets'
// probabilities to `sums`. Scores, softmax and probabilities are float32 in any dtype. Returns [S, H * K],
// undefined where values are.
at::Tensor Attend(const AttentionInput& input, std::span<const PackedPrompt> prompts, ReadoutSums& sums);

// The same for prompts of one length, on a path of the caller's choice.
at::Tensor AttendEqualLengths(const AttentionInput& input, std::span<const PackedPrompt> prompts,
                              AttentionPath path, ReadoutSums& sums);

}  // namespace induct::engine
