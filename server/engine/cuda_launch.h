// What server/engine/cuda_kernels.cu launches: plain pointers to device memory, so that nvcc sees nothing of
// LibTorch. Every function returns a cudaError_t, 0 where the launch went well; `stream` is a cudaStream_t.
#pragma once

#include <cstdint>

namespace induct::engine::cuda {

enum class Number { kFloat32, kFloat16, kBFloat16 };

// Whether this build has any of what follows.
bool HasKernels();

// The longest row that Norm takes.
inline constexpr int64_t kMaxNormWidth = 12288;

// input: [n_rows, width]; bias: nullptr, none.
int Norm(const float* input, const float* weight, const float* bias, void* output, Number output_number,
         int64_t n_rows, int64_t width, float epsilon, bool root_mean_square, void* stream);

// heads: n_rows rows of n_heads heads, their first elements row_stride and head_stride elements apart; pairs
// i and half + i are turned. cos, sin: [n_positions, half].
int Rotate(void* heads, Number number, const int64_t* positions, const float* cos, const float* sin,
           int64_t n_rows, int64_t n_heads, int64_t half, int64_t row_stride, int64_t head_stride,
           void* stream);

// A tensor [rows, heads, d_head] whose heads are contiguous.
struct Heads {
  const void* data;
  int64_t row_stride, head_stride;
};

// probabilities: [n_pairs, n_heads]; log_sum_exp: [rows, n_heads]; n_kv_heads divides n_heads.
int PairProbabilities(Heads queries, Heads keys, Number number, const float* log_sum_exp,
                      const int64_t* query_rows, const int64_t* key_rows, float* probabilities,
                      int64_t n_pairs, int64_t n_heads, int64_t n_kv_heads, int64_t d_head, float scale,
                      void* stream);

// sums[groups[i]] += weights[i] * probabilities[rows[i] - first_row] for n_targets targets, each for n_heads
// heads, in no fixed order.
int WeightedSum(const float* probabilities, const int64_t* rows, const float* weights, const int64_t* groups,
                double* sums, int64_t n_targets, int64_t n_heads, int64_t first_row, void* stream);

// residual[i] = residual[i] + first[i] + second[i].
int Add(float* residual, const void* first, const void* second, Number number, int64_t count, void* stream);

}  // namespace induct::engine::cuda
