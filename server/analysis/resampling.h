// How prompts are resampled: strata, and the draws within them. Definition: docs/method.md, "Uncertainty".
#pragma once

#include <cstdint>
#include <optional>
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
// What is estimated within them has (prompts - count) degrees of freedom.
Strata StratifyPrompts(std::span<const Prompt> prompts);

// The strata of a bootstrap of `resamples`; nothing where there are no intervals to make: none are asked for,
// or there is one prompt only. Adds a sentence to `warnings` where that is so, or where strata were merged.
std::optional<Strata> StrataToResample(std::span<const Prompt> prompts, uint32_t resamples,
                                       std::vector<std::string>& warnings);

// Whether one prompt alone has operations: all resamples are then alike, and intervals have no width.
bool RestsOnOnePrompt(std::span<const uint32_t> counts);

// Whether some resample has operations, on both sides of a paired comparison where there is one (else
// `paired_counts` is empty). Not so without any operation, nor where all those of one side are of one prompt,
// all those of the other of another, and a single prompt is drawn of the two.
bool CanResample(const Strata& strata, std::span<const uint32_t> counts,
                 std::span<const uint32_t> paired_counts = {});

// Draws prompts with replacement within each stratum: of its m prompts m - 1, which weigh m / (m - 1) each.
// (m of m would give statistics (m - 1) / m of their variance: a half where a stratum has two prompts.)
// Resample r is drawn from Random(seed, "bootstrap", r), stratum by stratum, so that it can be made again at
// any time, alone, and is the same for every analysis and model of the same prompts. Immutable after
// construction: safe to use from several threads at once. `counts` must outlive it.
class Resampler {
 public:
  // REQUIRES: each stratum has two prompts at least; CanResample(strata, counts, paired_counts).
  // `paired_counts` are those of the other side of a paired comparison; empty: there is none. Both sides draw
  // the same.
  Resampler(const Strata& strata, std::span<const uint32_t> counts, uint64_t seed,
            std::span<const uint32_t> paired_counts = {});

  // Sets weights [N] to what each prompt weighs in the resample, and returns the weighted operations in it, >
  // 0: a resample without operations, on either side, is drawn again from the same stream.
  double Draw(uint64_t resample, std::span<double> weights) const;

 private:
  const std::span<const uint32_t> counts_;         // [N]
  const std::span<const uint32_t> paired_counts_;  // [N]
  const uint64_t seed_;
  std::vector<std::vector<uint32_t>> prompts_;  // [strata]: the prompts in each
};

}  // namespace induct::analysis
