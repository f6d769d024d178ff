#include "server/analysis/head_permutation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/status.h"
#include "server/analysis/interval.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

constexpr uint32_t kBetweenStopChecks = 256;

// How often each whole number 0 .. max came.
class Histogram {
 public:
  explicit Histogram(uint32_t max) : times_(size_t{max} + 1) {}
  void Add(uint32_t value) { ++times_[value]; }

  // The smallest value whose cumulative share of `total` reaches `share`.
  uint32_t Quantile(double share, uint64_t total) const {
    const double needed = share * static_cast<double>(total) - 1e-9;
    uint64_t cumulative = 0;
    for (uint32_t value = 0; value < times_.size(); ++value) {
      cumulative += times_[value];
      if (static_cast<double>(cumulative) >= needed) return value;
    }
    return static_cast<uint32_t>(times_.size() - 1);
  }
  uint64_t CountAtLeast(uint32_t value) const {
    return std::accumulate(times_.begin() + value, times_.end(), uint64_t{0});
  }
  double Mean(uint64_t total) const {
    double sum = 0;
    for (uint32_t value = 0; value < times_.size(); ++value)
      sum += static_cast<double>(value * times_[value]);
    return sum / static_cast<double>(total);
  }

 private:
  std::vector<uint64_t> times_;
};

// What the places of the high heads say: how many stand in each layer, and how far the layers lie apart.
struct Placement {
  std::vector<uint32_t> of_layer;   // [L]
  std::vector<uint32_t> of_groups;  // of each group that has high heads: how many
  uint32_t n_high = 0;

  uint32_t most() const { return *std::max_element(of_layer.begin(), of_layer.end()); }

  // Variance of the layers times n_high^2: a whole number, so that equal spreads compare as equal.
  uint64_t ScaledVariance() const {
    uint64_t sum = 0, squares = 0;
    for (uint64_t layer = 0; layer < of_layer.size(); ++layer) {
      sum += layer * of_layer[layer];
      squares += layer * layer * of_layer[layer];
    }
    return n_high * squares - sum * sum;
  }
  double Spread() const {
    return std::sqrt(static_cast<double>(ScaledVariance())) / n_high / static_cast<double>(of_layer.size());
  }
};

Placement ObservedPlacement(std::span<const float> scores, const HeadGrid& grid, double threshold) {
  Placement placement{.of_layer = std::vector<uint32_t>(grid.n_layers)};
  const size_t group_size = grid.n_heads / grid.n_groups;
  for (size_t first = 0; first < scores.size(); first += group_size) {
    const std::span<const float> group = scores.subspan(first, group_size);
    const auto n_high = static_cast<uint32_t>(
        std::ranges::count_if(group, [&](float score) { return static_cast<double>(score) > threshold; }));
    if (n_high == 0) continue;
    placement.of_layer[first / grid.n_heads] += n_high;
    placement.of_groups.push_back(n_high);
    placement.n_high += n_high;
  }
  return placement;
}

// What the permutations gave.
struct Draws {
  std::vector<Histogram> of_layer;  // [L] high heads in each layer
  Histogram most;                   // the maximum over layers
  uint64_t as_narrow = 0;
  double spread_sum = 0;
};

// A permutation of the groups is a choice of the places that those with high heads take.
absl::StatusOr<Draws> Draw(const Placement& observed, const HeadGrid& grid, uint32_t resamples, uint64_t seed,
                           const std::stop_token& stop) {
  const uint32_t n_layers = grid.n_layers, n_heads = grid.n_heads;
  Draws draws{.of_layer = std::vector<Histogram>(n_layers, Histogram(n_heads)), .most = Histogram(n_heads)};
  std::vector<uint32_t> places(size_t{n_layers} * grid.n_groups);
  std::iota(places.begin(), places.end(), 0u);
  Random random(seed, "head_permutation");
  Placement drawn{.n_high = observed.n_high};
  for (uint32_t r = 0; r < resamples; ++r) {
    if (r % kBetweenStopChecks == 0 && stop.stop_requested())
      return Stopped("during the head permutation");
    drawn.of_layer.assign(n_layers, 0);
    for (size_t i = 0; i < observed.of_groups.size(); ++i) {
      std::swap(places[i], places[i + random.Below(places.size() - i)]);
      drawn.of_layer[places[i] / grid.n_groups] += observed.of_groups[i];
    }
    for (uint32_t layer = 0; layer < n_layers; ++layer) draws.of_layer[layer].Add(drawn.of_layer[layer]);
    draws.most.Add(drawn.most());
    if (observed.n_high < 2) continue;
    draws.as_narrow += drawn.ScaledVariance() <= observed.ScaledVariance();
    draws.spread_sum += drawn.Spread();
  }
  return draws;
}

}  // namespace

absl::StatusOr<HeadPermutationResult> PermuteHeads(std::span<const float> scores, const HeadGrid& grid,
                                                   double quantile, uint32_t resamples, uint64_t seed,
                                                   std::stop_token stop) {
  std::vector<double> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  HeadPermutationResult result{.resamples = resamples, .threshold = SortedQuantile(sorted, quantile)};
  const Placement observed = ObservedPlacement(scores, grid, result.threshold);
  const auto drawn = Draw(observed, grid, resamples, seed, stop);
  if (!drawn.ok()) return drawn.status();

  const auto p_value = [&](uint64_t reached) {
    return static_cast<double>(1 + reached) / static_cast<double>(1 + uint64_t{resamples});
  };
  const double heads = grid.n_heads;
  const bool has_p = grid.n_groups > 1;
  for (uint32_t layer = 0; layer < grid.n_layers; ++layer) {
    const Histogram& of_layer = drawn->of_layer[layer];
    result.observed_density.push_back(observed.of_layer[layer] / heads);
    result.null_mean.push_back(of_layer.Mean(resamples) / heads);
    result.band_low.push_back(of_layer.Quantile(0.05, resamples) / heads);
    result.band_high.push_back(of_layer.Quantile(0.95, resamples) / heads);
    if (has_p) result.p_adjusted.push_back(p_value(drawn->most.CountAtLeast(observed.of_layer[layer])));
  }
  if (!has_p) {
    result.reason =
        "all heads of a layer share one key and value, so whole layers change places, and the densest one is "
        "as dense in every permutation";
  }
  result.max_quantile = drawn->most.Quantile(0.95, resamples) / heads;
  if (observed.n_high >= 2) {
    result.depth_spread = DepthSpread{.observed = observed.Spread(),
                                      .null_mean = drawn->spread_sum / resamples,
                                      .p = p_value(drawn->as_narrow)};
  }
  return result;
}

}  // namespace induct::analysis
