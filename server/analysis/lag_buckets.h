// The profile by lag: a curve for each range of lags, all of one forward pass. Definition: docs/method.md,
// "Lag buckets".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/profile.h"

namespace induct::analysis {

struct LagBucket {
  uint32_t min_lag = 1, max_lag = 0;  // both included; max_lag 0: no limit
  uint64_t n_copy_ops = 0;            // where 0, all that follows is empty or absent
  std::vector<float> scores;          // [L, H]
  std::vector<double> per_layer;      // [L], of the bucket's own kept heads
  std::optional<LayerStatistics> statistics;
  std::optional<BootstrapResult> bootstrap;
};

// A value with its interval, which is absent without a bootstrap.
struct IntervalEstimate {
  double value = 0;
  std::optional<Interval> interval;
};

struct LagBucketsResult {
  ProfileOptions options;
  uint32_t n_layers = 0, n_heads = 0;
  std::vector<LagBucket> buckets;  // rising
  // centroid_rel of the last bucket minus the first's, paired by prompt; absent with one bucket, or where
  // either has no operations or a curve that is 0 everywhere.
  std::optional<IntervalEstimate> centroid_difference;
  std::vector<std::string> warnings;
};

// Measures `prompts` by the buckets that `edges` make: 1 .. edges[0], edges[0] + 1 .. edges[1], ..., and what
// is beyond the last. `on_layer` sees the chosen kind's scores over all lags. REQUIRES: edges rise, each
// >= 1.
//
// Errors are those of MeasureProfile; INVALID_ARGUMENT (field "score") also for `previous`, which has no
// lags.
absl::StatusOr<LagBucketsResult> MeasureLagBuckets(engine::Model& model, std::span<const Prompt> prompts,
                                                   const ProfileOptions& options,
                                                   std::span<const uint32_t> edges, std::stop_token stop,
                                                   const LayerScoresSink& on_layer,
                                                   const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
