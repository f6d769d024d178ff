// The bootstrap-t test over prompts, adjusted for the number of heads, or of layers, by the maximum
// statistic. Definition: docs/method.md, "Nulls".
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::analysis {

// Fewer prompts have no p: their resamples say too little of how means vary.
inline constexpr uint32_t kMinTestedPrompts = 5;

// What each prompt gives for each head, and how it is tested.
struct TestedEffects {
  std::vector<double> values;  // [N, L, H], finite
  uint32_t n_prompts = 0, n_layers = 0, n_heads = 0;
  uint32_t n_kept = 0;     // heads of a layer whose statistics are averaged for it, 1 .. n_heads
  bool two_sided = false;  // absolute statistics: of mean effects other than 0
  uint32_t resamples = 999;
  uint64_t seed = 0;
};

struct AdjustedPValues {
  std::vector<double> heads;   // [L, H]
  std::vector<double> layers;  // [L]
};

// One-sided for mean effects above 0. A head's statistic is mean / (sd / sqrt(N)), sd with N - 1 (sd 0: 1e9
// with the mean's sign, 0 where the mean is 0); a layer's is the mean of its n_kept highest. Each resample
// draws as many prompts with replacement from the effects less their means, and chooses the heads of a layer
// anew, as they were in the data: p = (1 + #{resamples whose highest statistic >= the own}) / (1 +
// resamples), the highest over all heads, or over all layers. Equal within 1e-9 relative counts as reached.
//
// Unlike flips of signs it needs no symmetric effects. Resample r draws from Random(seed, "bootstrap_t", r).
// Time is resamples * N * L * H. REQUIRES: N >= kMinTestedPrompts, resamples > 0. CANCELLED when `stop` is
// requested.
absl::StatusOr<AdjustedPValues> BootstrapT(TestedEffects effects, std::stop_token stop);

}  // namespace induct::analysis
