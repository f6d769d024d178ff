#include "server/analysis/cross_size.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "common/status.h"

namespace induct::analysis {
namespace {

constexpr size_t kGridPoints = 101;
constexpr double kRounding = 1e-9;  // an interval's end that lies on the margin is not within it

using Curve = std::array<double, kGridPoints>;

// The curve, its layers at (layer + 0.5) / n_layers, interpolated linearly and constant beyond the ends.
Curve OnGrid(std::span<const double> per_layer) {
  Curve curve;
  const auto last = static_cast<double>(per_layer.size() - 1);
  for (size_t i = 0; i < kGridPoints; ++i) {
    const double depth = static_cast<double>(i) / (kGridPoints - 1);
    const double at = std::clamp(depth * static_cast<double>(per_layer.size()) - 0.5, 0.0, last);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, per_layer.size() - 1);
    curve[i] = std::lerp(per_layer[below], per_layer[above], at - static_cast<double>(below));
  }
  return curve;
}

double Sum(const Curve& curve) { return std::accumulate(curve.begin(), curve.end(), 0.0); }

std::optional<double> Pearson(const Curve& a, const Curve& b) {
  const double mean_a = Sum(a) / kGridPoints, mean_b = Sum(b) / kGridPoints;
  double product = 0, square_a = 0, square_b = 0;
  for (size_t i = 0; i < kGridPoints; ++i) {
    product += (a[i] - mean_a) * (b[i] - mean_b);
    square_a += (a[i] - mean_a) * (a[i] - mean_a);
    square_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  const auto flat = [](double square) { return std::sqrt(square / kGridPoints) <= 1e-12; };
  if (flat(square_a) || flat(square_b)) return std::nullopt;
  return product / std::sqrt(square_a * square_b);
}

std::optional<double> Overlap(const Curve& a, const Curve& b) {
  const double sum_a = Sum(a), sum_b = Sum(b);
  if (!(sum_a > 0 && sum_b > 0)) return std::nullopt;
  double apart = 0;
  for (size_t i = 0; i < kGridPoints; ++i) apart += std::abs(a[i] / sum_a - b[i] / sum_b);
  return 1 - 0.5 * apart;
}

// The three statistics that are compared; REQUIRES: the curve is not 0 everywhere, or is a resample's.
using Statistics = std::array<double, 3>;
Statistics Compared(const LayerStatistics& statistics) {
  return {statistics.peak_depth, statistics.centroid_rel.value_or(0),
          statistics.bandwidth_interpolated.value_or(0)};
}

// The curves of one side of a pair: `given`, or drawn into `drawn`.
absl::StatusOr<std::span<const double>> CurvesOf(const ComparedProfile& profile,
                                                 std::span<const uint32_t> paired_counts,
                                                 const std::stop_token& stop, std::vector<double>& drawn) {
  if (!profile.curves.empty()) return profile.curves;
  BootstrapInput input = profile.bootstrap;
  input.paired_counts = paired_counts;
  INDUCT_ASSIGN_OR_RETURN(ResampledScores scores, ResampleScores(input, stop));
  drawn = std::move(scores.curves);
  return std::span<const double>(drawn);
}

// [resamples] of each statistic: the second's minus the first's.
absl::StatusOr<std::array<std::vector<double>, 3>> ResampleDifferences(const ComparedProfile& a,
                                                                       const ComparedProfile& b,
                                                                       const std::stop_token& stop) {
  const BootstrapInput &first = a.bootstrap, &second = b.bootstrap;
  if (first.resamples != second.resamples || first.seed != second.seed)
    return absl::InvalidArgumentError("the two sides of a comparison need the same resamples");
  std::vector<double> drawn_a, drawn_b;
  INDUCT_ASSIGN_OR_RETURN(const auto of_a, CurvesOf(a, second.counts, stop, drawn_a));
  INDUCT_ASSIGN_OR_RETURN(const auto of_b, CurvesOf(b, first.counts, stop, drawn_b));
  if (of_a.size() != size_t{first.resamples} * first.n_layers ||
      of_b.size() != size_t{second.resamples} * second.n_layers)
    return absl::InvalidArgumentError("curves of a comparison do not fit its resamples and layers");
  std::array<std::vector<double>, 3> differences;
  const auto statistics = [](std::span<const double> curves, uint32_t n_layers, size_t r) {
    return Compared(SummarizeResample(curves.subspan(r * n_layers, n_layers)));
  };
  for (size_t r = 0; r < first.resamples; ++r) {
    const Statistics x = statistics(of_a, first.n_layers, r), y = statistics(of_b, second.n_layers, r);
    for (size_t k = 0; k < differences.size(); ++k) differences[k].push_back(y[k] - x[k]);
  }
  return differences;
}

// `margin`: a difference that lies nearer to 0 makes none.
void AddIntervals(const std::vector<double>& differences, const Strata& strata, double margin,
                  PairedDifference& result) {
  result.interval = IntervalOf(differences, TailShare(strata));
  result.interval90 = IntervalOf(differences, TailShare(strata, 0.90));
  result.equivalent =
      result.interval90->low > -margin + kRounding && result.interval90->high < margin - kRounding;
}

}  // namespace

ComparableProfile::ComparableProfile(ProfileResult measured, std::span<const Prompt> prompts)
    : profile(std::move(measured)),
      kept(RankHeads(profile.chosen_scores(), profile.n_layers, profile.n_heads, profile.n_heads_kept)),
      strata(StratifyPrompts(prompts)) {
  const size_t n_scores = size_t{profile.n_layers} * profile.n_heads;
  sums.reserve(profile.prompt_scores.size());
  for (size_t i = 0; i < profile.prompt_scores.size(); ++i)
    sums.push_back(double{profile.prompt_scores[i]} * profile.prompt_counts[i / n_scores]);
  profile.prompt_scores = {};
}

ComparedProfile ComparableProfile::Compared() const {
  return {.per_layer = profile.per_layer,
          .bootstrap = {.sums = sums,
                        .counts = profile.prompt_counts,
                        .n_layers = profile.n_layers,
                        .n_heads = profile.n_heads,
                        .kept = kept,
                        .n_kept = profile.n_heads_kept,
                        .strata = &strata,
                        .resamples = profile.options.bootstrap_resamples,
                        .seed = profile.options.seed},
          .curves = curves};
}

absl::StatusOr<std::vector<std::vector<double>>> ResampleOnce(std::span<const ComparedProfile> profiles,
                                                              std::stop_token stop) {
  std::vector<std::vector<double>> curves;
  const auto other_counts = [&](const ComparedProfile& profile) {
    return !std::ranges::equal(profile.bootstrap.counts, profiles[0].bootstrap.counts);
  };
  if (std::any_of(profiles.begin(), profiles.end(), other_counts)) return curves;
  for (const ComparedProfile& profile : profiles) {
    INDUCT_ASSIGN_OR_RETURN(ResampledScores scores, ResampleScores(profile.bootstrap, stop));
    curves.push_back(std::move(scores.curves));
  }
  return curves;
}

absl::StatusOr<ProfileComparison> CompareProfiles(const ComparedProfile& a, const ComparedProfile& b,
                                                  bool with_bootstrap, std::stop_token stop) {
  if (a.per_layer.empty() || b.per_layer.empty())
    return absl::InvalidArgumentError("a profile without layers can't be compared");
  ProfileComparison result;
  const Curve curve_a = OnGrid(a.per_layer), curve_b = OnGrid(b.per_layer);
  result.pearson_r = Pearson(curve_a, curve_b);
  result.overlap = Overlap(curve_a, curve_b);

  const auto statistics_a = SummarizeProfile(a.per_layer), statistics_b = SummarizeProfile(b.per_layer);
  if (!statistics_a || !statistics_b) return result;
  const Statistics x = Compared(*statistics_a), y = Compared(*statistics_b);
  const std::array fields = {&result.peak_depth, &result.centroid_rel, &result.bandwidth_interpolated};
  for (size_t k = 0; k < fields.size(); ++k) *fields[k] = PairedDifference{.difference = y[k] - x[k]};
  const Strata* const strata = a.bootstrap.strata;
  if (!with_bootstrap || !CanResample(*strata, a.bootstrap.counts, b.bootstrap.counts)) return result;
  INDUCT_ASSIGN_OR_RETURN(const auto differences, ResampleDifferences(a, b, stop));
  const double margin = 1.0 / static_cast<double>(std::min(a.per_layer.size(), b.per_layer.size()));
  for (size_t k = 0; k < fields.size(); ++k) AddIntervals(differences[k], *strata, margin, **fields[k]);
  return result;
}

}  // namespace induct::analysis
