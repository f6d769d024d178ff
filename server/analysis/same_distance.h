// The null of attention to a fixed distance: what queries of other lags give at an operation's lag.
// Definition: docs/method.md, "Nulls".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/copy_operations.h"
#include "server/analysis/interval.h"
#include "server/analysis/prompts.h"
#include "server/analysis/resampling.h"
#include "server/analysis/score_sums.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// A job with operations of more different lags has no such null.
inline constexpr size_t kMaxSameDistanceLags = 64;
// Nor one whose sums by prompt and lag would take more bytes.
inline constexpr uint64_t kMaxSameDistanceBytes = uint64_t{2} << 30;

// The operations of one lag, and its references: the job's queries of other lags whose position at that
// distance holds another token. Each has a readout group.
struct LagReferences {
  uint32_t lag = 0;
  uint32_t observed_group = 0, reference_group = 0;
  std::vector<uint32_t> n_operations, n_references;  // [N]
};

struct SameDistanceTargets {
  std::vector<std::vector<engine::ReadoutTarget>> of_prompt;  // [N], by query
  std::vector<LagReferences> lags;                            // those with references, rising
  uint64_t n_copy_ops = 0;                                    // of these lags
  uint64_t n_dropped = 0;                                     // of lags without any reference
  uint32_t end_group = 0;                                     // one past the last group
  std::string reason;                                         // why there are no lags: a sentence

  uint32_t CountPrompts() const;  // with operations of these lags
  // What sums must keep of each prompt. The counts are those of `lags`.
  std::vector<KeptGroup> Kept() const;
};

// Targets of the operations of `kind` (not kPrevious), in groups from `first_group` on, for a model of
// n_scores heads in all. CANCELLED when `stop` is requested.
absl::StatusOr<SameDistanceTargets> FindSameDistanceTargets(std::span<const Prompt> prompts, ScoreKind kind,
                                                            Antecedents antecedents, uint32_t min_lag,
                                                            uint32_t first_group, uint64_t n_scores,
                                                            const std::stop_token& stop);

// Means over the operations [L, H].
struct SameDistanceMeans {
  std::vector<double> observed, null_mean;
};
SameDistanceMeans MeansOfSameDistance(const SameDistanceTargets& targets, const ScoreSums& sums);

// How the effect, observed less null, varies: heads [L, H] and the curves of the kept ones, with the
// references' means formed anew in every resample, where operations of a lag without any are left out.
// Nothing where no resample has both operations of a lag and references.
struct SameDistanceBootstrap {
  std::span<const uint32_t> kept;  // [L, n_kept]
  uint32_t n_kept = 0;
  const Strata* strata = nullptr;
  uint32_t resamples = 1000;
  uint64_t seed = 0;
};
absl::StatusOr<std::optional<ResampledScores>> ResampleSameDistance(const SameDistanceTargets& targets,
                                                                    const ScoreSums& sums,
                                                                    const SameDistanceBootstrap& how,
                                                                    const std::stop_token& stop);

}  // namespace induct::analysis
