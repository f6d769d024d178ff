// The curve over layers and its statistics. Definitions: docs/method.md, "Layer profile".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace induct::analysis {

enum class Aggregation { kTopQ, kMean };
std::string_view AggregationName(Aggregation aggregation);  // "topq", "mean"
std::optional<Aggregation> ParseAggregation(std::string_view name);

// Heads that a layer's profile averages: max(1, n_heads - floor(q * n_heads)) for topq, all for mean.
uint32_t HeadsKept(Aggregation aggregation, double quantile, uint32_t n_heads);

// [L, kept]: the highest heads of each layer of scores [L, H], best first, the lower index on ties.
std::vector<uint32_t> RankHeads(std::span<const float> scores, uint32_t n_layers, uint32_t n_heads,
                                uint32_t n_kept);

// A layer's value in the profile: the mean, in double, of the `kept` heads of its scores [H]. REQUIRES: kept
// is not empty.
template <typename Score>
double MeanOfKept(std::span<const Score> scores, std::span<const uint32_t> kept) {
  double sum = 0;
  for (const uint32_t head : kept) sum += scores[head];
  return sum / static_cast<double>(kept.size());
}

// [L]: that of every layer of scores [L, H], with kept [L, n_kept].
template <typename Score>
std::vector<double> MeansOfKept(std::span<const Score> scores, std::span<const uint32_t> kept,
                                uint32_t n_layers) {
  const size_t n_heads = scores.size() / n_layers, n_kept = kept.size() / n_layers;
  std::vector<double> means;
  for (size_t layer = 0; layer < n_layers; ++layer) {
    means.push_back(
        MeanOfKept(scores.subspan(layer * n_heads, n_heads), kept.subspan(layer * n_kept, n_kept)));
  }
  return means;
}

// All in relative depth 0 .. 1 but peak_layer. What is absent is undefined for this curve: a flat curve has
// no background to stand above.
struct LayerStatistics {
  uint32_t peak_layer = 0;
  double peak_rel = 0, peak_depth = 0;
  std::optional<double> centroid_rel, bandwidth, bandwidth_interpolated;
  std::optional<double> centroid_above_background, bandwidth_above_background;
};

// REQUIRES: per_layer is not empty, finite, >= 0. O(L log L).
// A flat zero curve has no statistics at all (nullopt), not even a peak.
std::optional<LayerStatistics> SummarizeProfile(std::span<const double> per_layer);

}  // namespace induct::analysis
