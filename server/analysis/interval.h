// Intervals from resampled statistics. Definition: docs/method.md, "Uncertainty".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/analysis/resampling.h"

namespace induct::analysis {

// Of 95 % where no other level is named.
struct Interval {
  double low = 0, high = 0;
};
struct Estimate {
  double mean = 0;  // over the resamples
  Interval interval;
};

// t such that Student's T with `degrees_of_freedom` lies within +-t with probability `level`, to 1e-12
// relative. Source: the finite series of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3
// and 26.7.4. REQUIRES: degrees_of_freedom >= 1, 0 < level < 1. Time is O(degrees_of_freedom).
double StudentQuantile(uint64_t degrees_of_freedom, double level);

// The share of resamples that lies beyond each end of an interval: Phi(-t), where t is Student's with
// (prompts
// - strata) degrees of freedom. With many prompts it is (1 - level) / 2; with few it is smaller, since the
// resamples of few prompts vary too little. REQUIRES: more prompts than strata.
double TailShare(const Strata& strata, double level = 0.95);

// The quantiles `tail_share` and 1 - `tail_share`. REQUIRES: not empty.
Interval IntervalOf(std::vector<double> values, double tail_share);
// The same, and the mean.
Estimate EstimateOf(std::vector<double> values, double tail_share);

// [L]: of each layer of curves [resamples, L].
std::vector<Interval> CurveIntervals(std::span<const double> curves, uint32_t n_layers, double tail_share);

// Column `column` of a row-major matrix.
std::vector<double> Column(std::span<const double> matrix, size_t n_columns, size_t column);

// Linear-interpolation quantile of sorted values (NumPy's default). REQUIRES: not empty.
double SortedQuantile(std::span<const double> sorted, double q);

}  // namespace induct::analysis
