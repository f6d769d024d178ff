// The head permutation: would high-scoring heads gather in layers like this if layers did not matter?
// Definition: docs/method.md, "Nulls".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::analysis {

// The places of a model's heads. Query heads that share a key and value head are one of its groups:
// neighbours, n_heads / n_groups of them.
struct HeadGrid {
  uint32_t n_layers = 0, n_heads = 0;
  uint32_t n_groups = 0;  // of a layer: 1 .. n_heads, divides n_heads
};

// Standard deviation (with n) of (layer + 0.5) / L over the high heads, against the permutations.
struct DepthSpread {
  double observed = 0, null_mean = 0;
  double p = 1;  // one-sided, "narrower than chance": (1 + k) / (1 + resamples)
};

// A head is high where its score is strictly above `threshold`. Densities are shares of a layer's heads.
struct HeadPermutationResult {
  uint32_t resamples = 0;
  double threshold = 0;                                                  // the q-quantile of all scores
  std::vector<double> observed_density, null_mean, band_low, band_high;  // [L]; pointwise 5 % and 95 %
  double max_quantile = 0;                  // 95 % quantile of the maximum over layers
  std::vector<double> p_adjusted;           // [L], by that maximum; empty where
  std::string reason;                       // layers have one group: why
  std::optional<DepthSpread> depth_spread;  // absent with fewer than 2 high heads
};

// Permutes the scores [L, H] over all places, without replacement, `resamples` times; groups move whole,
// since their heads resemble each other. Quantiles of densities are the smallest value whose cumulative share
// reaches them. Draws come from Random(seed, "head_permutation").
//
// REQUIRES: scores.size() == n_layers * n_heads > 0, 0 <= quantile < 1, resamples > 0. CANCELLED when `stop`
// is requested.
absl::StatusOr<HeadPermutationResult> PermuteHeads(std::span<const float> scores, const HeadGrid& grid,
                                                   double quantile, uint32_t resamples, uint64_t seed,
                                                   std::stop_token stop);

}  // namespace induct::analysis
