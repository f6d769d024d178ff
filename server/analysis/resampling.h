// How prompts are resampled: strata, and the draws within them. Definition: docs/method.md, "Uncertainty".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/analysis/prompts.h"

namespace induct::analysis {

// The stratum of each prompt: (task, lag), TEXT and TOKENS together. Numbered 0, 1, ... in order of first
// appearance.
struct Strata {
  std::vector<uint32_t> of_prompt;
  uint32_t count = 0;
  std::string warning;
};
Strata GroupByTaskAndLag(std::span<const Prompt> prompts);

// The strata to resample within: all prompts are one where any has fewer than two (then `warning` says so).
Strata StratifyPrompts(std::span<const Prompt> prompts);

// Whether one prompt alone has operations: all resamples are then alike, and intervals have no width.
bool RestsOnOnePrompt(std::span<const uint32_t> counts);

// Draws prompts with replacement within each stratum. Resample r is drawn from Random(seed, "bootstrap", r),
// stratum by stratum, so that it can be made again at any time, alone, and is the same for every analysis and
// model of the same prompts. Immutable after construction: safe to use from several threads at once. `counts`
// must outlive it.
class Resampler {
 public:
  // REQUIRES: counts [N] are those of the prompts in `strata`, and one at least is above 0. `paired_counts`
  // are those of the other side of a paired comparison, likewise; empty: there is none. Both sides draw the
  // same.
  Resampler(const Strata& strata, std::span<const uint32_t> counts, uint64_t seed,
            std::span<const uint32_t> paired_counts = {});

  // Sets weights [N] to how often each prompt is in the resample, and returns the operations in it, > 0: a
  // resample without operations, on either side, is drawn again from the same stream.
  uint64_t Draw(uint64_t resample, std::span<uint32_t> weights) const;

 private:
  const std::span<const uint32_t> counts_;         // [N]
  const std::span<const uint32_t> paired_counts_;  // [N]
  const uint64_t seed_;
  std::vector<std::vector<uint32_t>> prompts_;  // [strata]: the prompts in each
};

}  // namespace induct::analysis
