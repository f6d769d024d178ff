#include "server/analysis/layer_profile.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace induct::analysis {
namespace {

// The quantiles of mass between which a profile's width is taken: one standard deviation to each side of a
// normal curve.
constexpr double kLowerShare = 0.16, kUpperShare = 0.84;

// Where the mass of a curve over layers lies. REQUIRES: the curve is >= 0 and does not sum to 0.
class MassDistribution {
 public:
  explicit MassDistribution(std::span<const double> curve) : cumulative_(curve.size()) {
    const double total = std::accumulate(curve.begin(), curve.end(), 0.0);
    double below = 0, moment = 0;
    for (size_t layer = 0; layer < curve.size(); ++layer) {
      const double share = curve[layer] / total;
      moment += share * (static_cast<double>(layer) + 0.5);
      cumulative_[layer] = below += share;
    }
    centroid_ = moment / n_layers();
  }

  double centroid() const { return centroid_; }

  // Whole layers from the lower to the upper quantile.
  double Bandwidth() const {
    return static_cast<double>(LayerOf(kUpperShare) - LayerOf(kLowerShare) + 1) / n_layers();
  }
  double BandwidthInterpolated() const { return Quantile(kUpperShare) - Quantile(kLowerShare); }

 private:
  double n_layers() const { return static_cast<double>(cumulative_.size()); }

  // The first layer whose cumulative share reaches `share`; the last one where rounding keeps all below it.
  size_t LayerOf(double share) const {
    const auto it = std::lower_bound(cumulative_.begin(), cumulative_.end(), share);
    return std::min<size_t>(it - cumulative_.begin(), cumulative_.size() - 1);
  }

  // The depth below which `share` of the mass lies, each layer's mass spread evenly over its own span.
  double Quantile(double share) const {
    const size_t layer = LayerOf(share);
    const double below = layer == 0 ? 0.0 : cumulative_[layer - 1];
    return (static_cast<double>(layer) + (share - below) / (cumulative_[layer] - below)) / n_layers();
  }

  std::vector<double> cumulative_;  // [L] share of the mass up to and with each layer
  double centroid_ = 0;
};

double Median(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The curve above its median, and 0 elsewhere.
std::vector<double> AboveBackground(std::span<const double> curve) {
  const double median = Median(curve);
  std::vector<double> above(curve.begin(), curve.end());
  for (double& value : above) value = std::max(value - median, 0.0);
  return above;
}

bool HasMass(std::span<const double> curve) {
  return std::any_of(curve.begin(), curve.end(), [](double value) { return value > 0; });
}

}  // namespace

std::string_view AggregationName(Aggregation aggregation) {
  return aggregation == Aggregation::kTopQ ? "topq" : "mean";
}

std::optional<Aggregation> ParseAggregation(std::string_view name) {
  for (const Aggregation aggregation : {Aggregation::kTopQ, Aggregation::kMean}) {
    if (name == AggregationName(aggregation)) return aggregation;
  }
  return std::nullopt;
}

uint32_t HeadsKept(Aggregation aggregation, double quantile, uint32_t n_heads) {
  if (aggregation == Aggregation::kMean) return n_heads;
  return std::max<uint32_t>(1, n_heads - static_cast<uint32_t>(std::floor(quantile * n_heads)));
}

std::vector<uint32_t> RankHeads(std::span<const float> scores, uint32_t n_layers, uint32_t n_heads,
                                uint32_t n_kept) {
  std::vector<uint32_t> kept, heads(n_heads);
  kept.reserve(size_t{n_layers} * n_kept);
  for (uint32_t layer = 0; layer < n_layers; ++layer) {
    const auto of_layer = scores.subspan(size_t{layer} * n_heads, n_heads);
    std::iota(heads.begin(), heads.end(), 0u);
    std::stable_sort(heads.begin(), heads.end(),
                     [&](uint32_t a, uint32_t b) { return of_layer[a] > of_layer[b]; });
    kept.insert(kept.end(), heads.begin(), heads.begin() + n_kept);
  }
  return kept;
}

std::optional<LayerStatistics> SummarizeProfile(std::span<const double> per_layer) {
  if (!HasMass(per_layer)) return std::nullopt;
  const auto peak = std::max_element(per_layer.begin(), per_layer.end()) - per_layer.begin();
  const double n_layers = static_cast<double>(per_layer.size());
  const MassDistribution mass(per_layer);
  LayerStatistics statistics{.peak_layer = static_cast<uint32_t>(peak),
                             .peak_rel = static_cast<double>(peak) / n_layers,
                             .peak_depth = (static_cast<double>(peak) + 0.5) / n_layers,
                             .centroid_rel = mass.centroid(),
                             .bandwidth = mass.Bandwidth(),
                             .bandwidth_interpolated = mass.BandwidthInterpolated()};
  if (const std::vector<double> above = AboveBackground(per_layer); HasMass(above)) {
    const MassDistribution mass_above(above);
    statistics.centroid_above_background = mass_above.centroid();
    statistics.bandwidth_above_background = mass_above.BandwidthInterpolated();
  }
  return statistics;
}

}  // namespace induct::analysis
