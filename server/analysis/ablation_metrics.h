// What an ablation is measured by, and its difference to the baseline. Definitions: docs/method.md, "Causal
// ablation".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/bootstrap.h"
#include "server/analysis/prediction_sums.h"
#include "server/analysis/resampling.h"

namespace induct::analysis {

enum class Metric { kCopyAccuracy, kCopyNll, kOtherNll, kControlNll };
inline constexpr std::array<Metric, 4> kMetrics = {Metric::kCopyAccuracy, Metric::kCopyNll, Metric::kOtherNll,
                                                   Metric::kControlNll};

// One value a metric; absent where the metric has no positions.
template <typename Value>
struct OfMetrics {
  std::optional<Value> copy_accuracy, copy_nll, other_nll, control_nll;

  std::optional<Value>& of(Metric metric) { return this->*kFields[static_cast<size_t>(metric)]; }
  const std::optional<Value>& of(Metric metric) const { return this->*kFields[static_cast<size_t>(metric)]; }

 private:
  static constexpr std::array<std::optional<Value> OfMetrics::*, kMetrics.size()> kFields = {
      &OfMetrics::copy_accuracy, &OfMetrics::copy_nll, &OfMetrics::other_nll, &OfMetrics::control_nll};
};

// Shares 0 .. 1 (copy_accuracy) and nats (the others).
struct AblationMetrics : OfMetrics<double> {
  uint32_t n_predictable = 0, n_other = 0, n_control = 0;  // positions, the same in every arm
};

// A metric minus the baseline's.
struct DeltaEstimate {
  double value = 0;
  std::optional<Interval> interval;  // 95 %, paired by prompt; absent without a bootstrap
};
using AblationDelta = OfMetrics<DeltaEstimate>;

// One metric of every variant of a pass, variant 0 being the baseline.
struct MetricOfVariants {
  uint32_t n_positions = 0;
  std::vector<double> values;         // [V]; empty without positions
  std::vector<DeltaEstimate> deltas;  // [V]; likewise. The baseline's is 0
};

// The metric over all prompts, and each variant's delta with its bootstrap interval: prompts are resampled
// within `strata`, sums of a variant and of the baseline together, and a resample without positions is drawn
// again. `resamples` 0: no intervals. REQUIRES: at least one variant, and 2 prompts where resamples > 0;
// strata are those of the prompts. CANCELLED when `stop` is requested.
absl::StatusOr<MetricOfVariants> SummarizeMetric(const MetricSums& sums, const Strata& strata,
                                                 uint32_t resamples, uint64_t seed,
                                                 const std::stop_token& stop);

// Every metric of the variants of one job, in the order of kMetrics.
using MetricTable = std::array<MetricOfVariants, kMetrics.size()>;

}  // namespace induct::analysis
