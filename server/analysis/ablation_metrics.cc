#include "server/analysis/ablation_metrics.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "common/status.h"

namespace induct::analysis {
namespace {

// Variants that are resampled together: bounds what a bootstrap keeps.
constexpr size_t kVariantsAtOnce = 64;

// Sets the intervals of the variants [first, first + n_variants).
absl::Status AddMetricIntervals(const MetricSums& sums, const Strata& strata, uint32_t resamples,
                                uint64_t seed, size_t first, size_t n_variants, const std::stop_token& stop,
                                std::vector<DeltaEstimate>& deltas) {
  const size_t n_prompts = sums.counts.size();
  std::vector<double> differences(n_prompts * n_variants);  // [N, n_variants]: to the baseline
  for (size_t prompt = 0; prompt < n_prompts; ++prompt) {
    for (size_t i = 0; i < n_variants; ++i) {
      differences[prompt * n_variants + i] = sums.sums[(first + i) * n_prompts + prompt] - sums.sums[prompt];
    }
  }
  // The bootstrap of head scores on other columns: its one layer of heads is the variants.
  constexpr uint32_t kNoMatter[] = {0};  // which of them its curve would average
  INDUCT_ASSIGN_OR_RETURN(const ResampledScores resampled,
                          ResampleScores({.sums = differences,
                                          .counts = sums.counts,
                                          .n_layers = 1,
                                          .n_heads = static_cast<uint32_t>(n_variants),
                                          .kept = kNoMatter,
                                          .n_kept = 1,
                                          .strata = &strata,
                                          .resamples = resamples,
                                          .seed = seed},
                                         stop));
  for (size_t i = 0; i < n_variants; ++i) deltas[first + i].interval = resampled.heads[i];
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MetricOfVariants> SummarizeMetric(const MetricSums& sums, const Strata& strata,
                                                 uint32_t resamples, uint64_t seed,
                                                 const std::stop_token& stop) {
  MetricOfVariants metric{.n_positions = std::accumulate(sums.counts.begin(), sums.counts.end(), 0u)};
  if (metric.n_positions == 0) return metric;
  const size_t n_prompts = sums.counts.size(), n_variants = sums.sums.size() / n_prompts;
  std::vector<double> totals;
  for (size_t variant = 0; variant < n_variants; ++variant) {
    const std::span<const double> of_prompts = std::span(sums.sums).subspan(variant * n_prompts, n_prompts);
    totals.push_back(std::accumulate(of_prompts.begin(), of_prompts.end(), 0.0));
    metric.values.push_back(totals[variant] / metric.n_positions);
    metric.deltas.push_back({.value = (totals[variant] - totals[0]) / metric.n_positions});
  }
  if (resamples == 0) return metric;
  for (size_t first = 1; first < n_variants; first += kVariantsAtOnce) {
    INDUCT_RETURN_IF_ERROR(AddMetricIntervals(sums, strata, resamples, seed, first,
                                              std::min(kVariantsAtOnce, n_variants - first), stop,
                                              metric.deltas));
  }
  return metric;
}

}  // namespace induct::analysis
