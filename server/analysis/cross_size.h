// Two profiles of different models on the same prompts, compared on relative depth. Definition:
// docs/method.md, "Cross-size".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/bootstrap.h"
#include "server/analysis/profile.h"

namespace induct::analysis {

// One side of a comparison.
struct ComparedProfile {
  std::span<const double> per_layer;  // [L], >= 0
  // What it is resampled from; of both sides the same prompts, strata, resamples and seed. Its paired_counts
  // are set by CompareProfiles.
  BootstrapInput bootstrap;
  // [resamples, L] of ResampleOnce, which then stand for the sums; empty: CompareProfiles resamples.
  std::span<const double> curves = {};
};

// What stays of a model's profile until it is compared. `curves` is set once ResampleOnce has given them.
struct ComparableProfile {
  ProfileResult profile;       // without prompt_scores
  std::vector<double> sums;    // [N, L, H]: sums over each prompt's operations
  std::vector<uint32_t> kept;  // [L, n_kept]
  Strata strata;
  std::vector<double> curves = {};

  // `profile` is one of `prompts`.
  ComparableProfile(ProfileResult profile, std::span<const Prompt> prompts);
  // Points into this object.
  ComparedProfile Compared() const;
};

// The second's value minus the first's. The intervals are those of a bootstrap that draws the same prompts
// for both; absent without one, and where no resample has operations on both sides.
struct PairedDifference {
  double difference = 0;
  std::optional<Interval> interval;    // 95 %
  std::optional<Interval> interval90;  // 90 %
  // Whether the 90 % interval lies strictly within +-1 / min(n_layers): two one-sided tests at 5 %.
  std::optional<bool> equivalent;
};

// Absent is what is undefined: differences and overlap where a curve is 0 everywhere, pearson_r where one is
// flat.
struct ProfileComparison {
  std::optional<PairedDifference> peak_depth, centroid_rel, bandwidth_interpolated;
  std::optional<double> pearson_r;  // of the curves, on 101 points of relative depth
  std::optional<double> overlap;  // 1 - half the summed absolute difference of the curves, each summing to 1
};

// The resampled curves [resamples, L] of each profile, for all its comparisons, where they draw the same
// prompts with whichever it is paired: where every profile counts the same operations in each prompt. Nothing
// where that is not so: each pair is then drawn on its own. Errors as of ResampleScores.
absl::StatusOr<std::vector<std::vector<double>>> ResampleOnce(std::span<const ComparedProfile> profiles,
                                                              std::stop_token stop);

// Compares two profiles; with `with_bootstrap` false the `bootstrap` inputs are not looked at. CANCELLED when
// `stop` is requested; INVALID_ARGUMENT where the shapes do not fit each other.
absl::StatusOr<ProfileComparison> CompareProfiles(const ComparedProfile& a, const ComparedProfile& b,
                                                  bool with_bootstrap, std::stop_token stop);

}  // namespace induct::analysis
