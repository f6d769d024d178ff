// Causal attention on a CPU and the reading of single probabilities, kernels of our own: LibTorch's attention
// takes half as long again or twice as long (docs/performance.md).
#pragma once

#include <ATen/core/Tensor.h>

namespace induct::engine {

// The output of attention, [S, H, K] in the dtype of its input, undefined where there were no values; and the
// natural logarithm of each query's sum of exponentials, [S, H] float32.
struct AttentionResult {
  at::Tensor output, log_sum_exp;
};

// Attends within each of the prompts of `length` tokens that lie one after another in the rows of queries
// [S, H, K], keys [S, G, K] and values [S, G, K], K contiguous in each; undefined values: only the
// log-sum-exp is wanted. Query head h reads key-value head h / (H / G). Scores, softmax and output are
// computed in float32, whatever the dtype: float32, float16 or bfloat16. At every length and K, in LibTorch's
// threads; each query's result is the same whatever their number. A value that is no number may reach a few
// queries before its own, never another prompt.
AttentionResult AttendOnCpu(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            int64_t length, double scale);

// As FusedPairProbabilities: [M, H] float32, exp(scale * q . k - log_sum_exp of q) for M pairs of rows, [M]
// int64 each.
at::Tensor PairProbabilitiesOnCpu(const at::Tensor& queries, const at::Tensor& keys,
                                  const at::Tensor& log_sum_exp, const at::Tensor& query_rows,
                                  const at::Tensor& key_rows, double scale);

}  // namespace induct::engine
