#include "server/analysis/interval.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace induct::analysis {
namespace {

// The probability that Student's T lies within +-sqrt(degrees_of_freedom) * tan(angle).
double StudentWithin(double angle, uint64_t degrees_of_freedom) {
  const bool is_odd = degrees_of_freedom % 2 == 1;
  const double cosine = std::cos(angle);
  double sum = 0, term = is_odd ? cosine : 1;
  for (uint64_t k = is_odd ? 1 : 0; k + 1 < degrees_of_freedom; k += 2) {
    sum += term;
    term *= cosine * cosine * static_cast<double>(k + 1) / static_cast<double>(k + 2);
  }
  return is_odd ? (angle + std::sin(angle) * sum) * 2 / std::numbers::pi : std::sin(angle) * sum;
}

}  // namespace

double StudentQuantile(uint64_t degrees_of_freedom, double level) {
  double low = 0, high = std::numbers::pi / 2;
  for (int halving = 0; halving < 100; ++halving) {
    const double middle = (low + high) / 2;
    (StudentWithin(middle, degrees_of_freedom) < level ? low : high) = middle;
  }
  return std::sqrt(static_cast<double>(degrees_of_freedom)) * std::tan(low);
}

double TailShare(const Strata& strata, double level) {
  const double t = StudentQuantile(strata.of_prompt.size() - strata.count, level);
  return std::erfc(t / std::numbers::sqrt2) / 2;
}

Interval IntervalOf(std::vector<double> values, double tail_share) {
  std::sort(values.begin(), values.end());
  return {SortedQuantile(values, tail_share), SortedQuantile(values, 1 - tail_share)};
}

Estimate EstimateOf(std::vector<double> values, double tail_share) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return {mean, IntervalOf(std::move(values), tail_share)};
}

std::vector<Interval> CurveIntervals(std::span<const double> curves, uint32_t n_layers, double tail_share) {
  std::vector<Interval> intervals;
  for (uint32_t layer = 0; layer < n_layers; ++layer)
    intervals.push_back(IntervalOf(Column(curves, n_layers, layer), tail_share));
  return intervals;
}

std::vector<double> Column(std::span<const double> matrix, size_t n_columns, size_t column) {
  std::vector<double> values(matrix.size() / n_columns);
  for (size_t row = 0; row < values.size(); ++row) values[row] = matrix[row * n_columns + column];
  return values;
}

double SortedQuantile(std::span<const double> sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace induct::analysis
