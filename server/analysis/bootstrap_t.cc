#include "server/analysis/bootstrap_t.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "common/status.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

// What rounding leaves of a mean, or of an sd (whose square is a difference), that is 0: shares of the size
// of what they are of.
constexpr double kRoundingOfMean = 1e-12, kRoundingOfSd = 1e-7;
// The statistic of effects that are the same in all prompts.
constexpr double kCertain = 1e9;

// Mean and mean square of the effects of each head.
struct Moments {
  std::vector<double> means, squares;  // [L, H]

  explicit Moments(size_t n_columns) : means(n_columns), squares(n_columns) {}
};

double StatisticOf(double mean, double mean_square, double n) {
  const double size = std::sqrt(mean_square);
  const double sd = std::sqrt(std::max(mean_square - mean * mean, 0.0) * n / (n - 1));
  if (sd > kRoundingOfSd * size) return mean / (sd / std::sqrt(n));
  return std::abs(mean) > kRoundingOfMean * size ? std::copysign(kCertain, mean) : 0;
}

// The statistics of heads [L, H] and layers [L].
struct TestStatistics {
  std::vector<double> heads, layers;

  double highest_head() const { return *std::max_element(heads.begin(), heads.end()); }
  double highest_layer() const { return *std::max_element(layers.begin(), layers.end()); }
};

// The mean of the n_kept highest of a layer's statistics, whose order is lost.
double MeanOfHighest(std::span<double> heads, uint32_t n_kept) {
  std::nth_element(heads.begin(), heads.begin() + n_kept - 1, heads.end(), std::greater<>());
  return std::accumulate(heads.begin(), heads.begin() + n_kept, 0.0) / n_kept;
}

TestStatistics TestStatisticsOf(const Moments& moments, const TestedEffects& effects) {
  TestStatistics statistics;
  for (size_t i = 0; i < moments.means.size(); ++i) {
    const double statistic = StatisticOf(moments.means[i], moments.squares[i], effects.n_prompts);
    statistics.heads.push_back(effects.two_sided ? std::abs(statistic) : statistic);
  }
  std::vector<double> of_layers = statistics.heads;
  for (size_t layer = 0; layer < effects.n_layers; ++layer) {
    statistics.layers.push_back(MeanOfHighest(
        std::span(of_layers).subspan(layer * effects.n_heads, effects.n_heads), effects.n_kept));
  }
  return statistics;
}

Moments MomentsOf(const TestedEffects& effects, std::span<const uint32_t> weights) {
  const size_t n_columns = size_t{effects.n_layers} * effects.n_heads;
  Moments moments(n_columns);
  for (size_t prompt = 0; prompt < effects.n_prompts; ++prompt) {
    const double weight = weights[prompt];
    if (weight == 0) continue;
    const double* of_prompt = &effects.values[prompt * n_columns];
    for (size_t i = 0; i < n_columns; ++i) {
      moments.means[i] += weight * of_prompt[i];
      moments.squares[i] += weight * of_prompt[i] * of_prompt[i];
    }
  }
  for (size_t i = 0; i < n_columns; ++i) {
    moments.means[i] /= effects.n_prompts;
    moments.squares[i] /= effects.n_prompts;
  }
  return moments;
}

// Takes each head's mean from its effects, and from what is left what is rounding.
void Centre(std::span<const double> means, TestedEffects& effects) {
  const size_t n_columns = means.size();
  std::vector<double> largest(n_columns);
  for (size_t i = 0; i < effects.values.size(); ++i)
    largest[i % n_columns] = std::max(largest[i % n_columns], std::abs(effects.values[i]));
  for (size_t i = 0; i < effects.values.size(); ++i) {
    double& value = effects.values[i];
    value -= means[i % n_columns];
    if (std::abs(value) < kRoundingOfMean * largest[i % n_columns]) value = 0;
  }
}

// p of each statistic, given the highest one of each resample.
std::vector<double> PValues(std::span<const double> own, std::vector<double> highest) {
  std::sort(highest.begin(), highest.end());
  std::vector<double> p_values;
  for (const double statistic : own) {
    const double reach = statistic - 1e-9 * std::abs(statistic);
    const auto n_reached = highest.end() - std::lower_bound(highest.begin(), highest.end(), reach);
    p_values.push_back(static_cast<double>(1 + n_reached) / static_cast<double>(1 + highest.size()));
  }
  return p_values;
}

}  // namespace

absl::StatusOr<AdjustedPValues> BootstrapT(TestedEffects effects, std::stop_token stop) {
  std::vector<uint32_t> weights(effects.n_prompts, 1);
  const Moments observed = MomentsOf(effects, weights);
  const TestStatistics own = TestStatisticsOf(observed, effects);
  Centre(observed.means, effects);

  std::vector<double> highest_heads, highest_layers;
  for (uint32_t r = 0; r < effects.resamples; ++r) {
    if (stop.stop_requested()) return Stopped("during the bootstrap-t test");
    Random random(effects.seed, "bootstrap_t", r);
    std::fill(weights.begin(), weights.end(), 0u);
    for (uint32_t i = 0; i < effects.n_prompts; ++i) ++weights[random.Below(effects.n_prompts)];
    const TestStatistics drawn = TestStatisticsOf(MomentsOf(effects, weights), effects);
    highest_heads.push_back(drawn.highest_head());
    highest_layers.push_back(drawn.highest_layer());
  }
  return AdjustedPValues{.heads = PValues(own.heads, std::move(highest_heads)),
                         .layers = PValues(own.layers, std::move(highest_layers))};
}

}  // namespace induct::analysis
