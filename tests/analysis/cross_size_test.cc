#include "server/analysis/cross_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

// A model's synthetic prompts: one head a layer, so that the curve is the scores.
struct Model {
  uint32_t n_layers = 0;
  std::vector<double> sums;      // [N, L]
  std::vector<uint32_t> counts;  // [N]
  std::vector<uint32_t> kept;    // [L], all 0
  std::vector<double> per_layer;
  Strata strata;

  Model(uint32_t layers, std::vector<uint32_t> prompt_counts, uint64_t seed)
      : n_layers(layers), counts(std::move(prompt_counts)), kept(layers) {
    Random random(seed, "test");
    for (const uint32_t count : counts) {
      for (uint32_t l = 0; l < layers; ++l)
        sums.push_back(count * static_cast<double>(1 + l + random.Below(10)) / 30);
    }
    Update();
    strata = {.of_prompt = std::vector<uint32_t>(counts.size(), 0), .count = 1};
  }

  void Update() {
    double total = 0;
    per_layer.assign(n_layers, 0);
    for (size_t i = 0; i < counts.size(); ++i) {
      total += counts[i];
      for (uint32_t l = 0; l < n_layers; ++l) per_layer[l] += sums[i * n_layers + l];
    }
    for (double& value : per_layer) value /= total;
  }

  ComparedProfile profile(uint32_t resamples = 400) const {
    return {.per_layer = per_layer,
            .bootstrap = {.sums = sums,
                          .counts = counts,
                          .n_layers = n_layers,
                          .n_heads = 1,
                          .kept = kept,
                          .n_kept = 1,
                          .strata = &strata,
                          .resamples = resamples,
                          .seed = 5}};
  }
};

// np.interp at 101 points, as written in its documentation.
std::vector<double> PlainCurve(const std::vector<double>& y) {
  std::vector<double> curve;
  for (int i = 0; i <= 100; ++i) {
    const double x = i / 100.0;
    double value = x < 0.5 / y.size() ? y.front() : y.back();
    for (size_t l = 0; l + 1 < y.size(); ++l) {
      const double left = (l + 0.5) / y.size(), right = (l + 1.5) / y.size();
      if (x >= left && x <= right) value = y[l] + (y[l + 1] - y[l]) * (x - left) / (right - left);
    }
    curve.push_back(value);
  }
  return curve;
}

TEST(CrossSize, DifferencesAndCurvesAgreeWithPlainLoops) {
  const Model a(4, {3, 1, 4, 1}, 1), b(7, {3, 1, 4, 1}, 2);
  const auto result = CompareProfiles(a.profile(), b.profile(), /*with_bootstrap=*/true, {});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto of_a = SummarizeProfile(a.per_layer), of_b = SummarizeProfile(b.per_layer);
  EXPECT_NEAR(result->centroid_rel->difference, *of_b->centroid_rel - *of_a->centroid_rel, 1e-12);
  EXPECT_NEAR(result->peak_depth->difference, of_b->peak_depth - of_a->peak_depth, 1e-12);

  const std::vector<double> x = PlainCurve(a.per_layer), y = PlainCurve(b.per_layer);
  double mx = 0, my = 0, xy = 0, xx = 0, yy = 0, apart = 0;
  for (int i = 0; i <= 100; ++i) mx += x[i] / 101, my += y[i] / 101;
  for (int i = 0; i <= 100; ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
    apart += std::abs(x[i] / mx - y[i] / my) / 101;
  }
  EXPECT_NEAR(*result->pearson_r, xy / std::sqrt(xx * yy), 1e-9);
  EXPECT_NEAR(*result->overlap, 1 - apart / 2, 1e-9);
}

TEST(CrossSize, AModelAgainstItselfHasNoDifferenceInAnyResample) {
  const Model a(5, {2, 3, 1, 5}, 1);
  const auto result = CompareProfiles(a.profile(), a.profile(), true, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->centroid_rel->interval->low, 0);  // unpaired draws would differ
  EXPECT_EQ(result->centroid_rel->interval->high, 0);
  EXPECT_EQ(result->peak_depth->equivalent, true);
  EXPECT_NEAR(*result->overlap, 1, 1e-12);
  EXPECT_NEAR(*result->pearson_r, 1, 1e-12);
}

TEST(CrossSize, OppositeProfilesAreNotEquivalentThoughTheirIntervalsAreNarrow) {
  Model a(4, {4, 4, 4, 4}, 1), b(4, {4, 4, 4, 4}, 1);
  for (size_t i = 0; i < 4; ++i) std::reverse(&b.sums[i * 4], &b.sums[i * 4] + 4);
  b.Update();
  for (size_t i = 0; i < 4; ++i) {
    a.sums[i * 4] = 0;
    b.sums[i * 4 + 3] = 0;
  }
  a.Update();
  b.Update();
  const auto result = CompareProfiles(a.profile(), b.profile(), true, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->peak_depth->equivalent, false);
  EXPECT_LT(result->centroid_rel->interval->high, 0);
  EXPECT_LE(result->centroid_rel->interval->low, result->centroid_rel->interval90->low);
}

TEST(CrossSize, ResamplesWithoutOperationsOnEitherSideAreDrawnAgain) {
  const Model a(3, {0, 5, 2}, 1), b(3, {4, 0, 0}, 2);  // only draws with the first and another prompt count
  const auto result = CompareProfiles(a.profile(), b.profile(), true, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(std::isfinite(result->centroid_rel->interval->low));
  const Resampler paired(a.strata, a.counts, 5, b.counts), other_side(a.strata, b.counts, 5, a.counts);
  std::vector<double> weights(3), other(3);
  for (uint64_t r = 0; r < 100; ++r) {
    paired.Draw(r, weights);
    other_side.Draw(r, other);
    EXPECT_EQ(weights, other);
    EXPECT_GT(weights[0], 0);
    EXPECT_GT(weights[1] + weights[2], 0);
  }
}

TEST(CrossSize, WhereNoResampleHasOperationsOnBothSidesThereAreNoIntervals) {
  const Model a(3, {0, 5}, 1), b(3, {4, 0}, 2);  // a single prompt is drawn of two
  const auto result = CompareProfiles(a.profile(), b.profile(), true, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->centroid_rel.has_value());
  EXPECT_FALSE(result->centroid_rel->interval || result->centroid_rel->equivalent);
}

// A second model whose only peak lies exactly one layer away, in every resample.
TEST(CrossSize, OneLayerApartIsNotEquivalent) {
  Model a(4, {4, 4, 4, 4}, 1), b(4, {4, 4, 4, 4}, 1);
  for (size_t i = 0; i < a.sums.size(); ++i) {
    a.sums[i] = i % 4 == 1 ? 1 : 0;
    b.sums[i] = i % 4 == 2 ? 1 : 0;
  }
  a.Update();
  b.Update();
  const auto result = CompareProfiles(a.profile(), b.profile(), true, {});
  ASSERT_TRUE(result.ok());
  EXPECT_NEAR(result->peak_depth->interval90->high, 0.25, 1e-12);
  EXPECT_EQ(result->peak_depth->equivalent, false);
  EXPECT_EQ(result->bandwidth_interpolated->equivalent, true);
}

// Without their sums, so that nothing else can be drawn from.
TEST(CrossSize, CurvesResampledOnceCompareEveryPairToTheBit) {
  const std::vector<uint32_t> counts = {3, 0, 4, 1};
  const std::vector<Model> models = {Model(4, counts, 1), Model(7, counts, 2), Model(5, counts, 3)};
  std::vector<ComparedProfile> profiles;
  for (const Model& model : models) profiles.push_back(model.profile());
  const auto curves = ResampleOnce(profiles, {});
  ASSERT_TRUE(curves.ok()) << curves.status();
  ASSERT_EQ(curves->size(), 3u);
  std::vector<ComparedProfile> resampled = profiles;
  for (size_t i = 0; i < 3; ++i) {
    resampled[i].curves = (*curves)[i];
    resampled[i].bootstrap.sums = {};
  }
  for (const auto& [a, b] : {std::pair(0, 1), std::pair(0, 2), std::pair(1, 2)}) {
    const auto once = CompareProfiles(resampled[a], resampled[b], true, {});
    const auto apart = CompareProfiles(profiles[a], profiles[b], true, {});
    ASSERT_TRUE(once.ok() && apart.ok()) << once.status();
    for (const auto field : {&ProfileComparison::peak_depth, &ProfileComparison::centroid_rel,
                             &ProfileComparison::bandwidth_interpolated}) {
      const PairedDifference &x = *((*once).*field), &y = *((*apart).*field);
      EXPECT_EQ(x.difference, y.difference);
      EXPECT_EQ(x.interval->low, y.interval->low);
      EXPECT_EQ(x.interval->high, y.interval->high);
      EXPECT_EQ(x.interval90->low, y.interval90->low);
      EXPECT_EQ(x.equivalent, y.equivalent);
    }
  }
}

TEST(CrossSize, ProfilesOfOtherCountsAreNotResampledOnce) {
  const Model a(3, {1, 2}, 1), b(3, {1, 3}, 2);
  const auto curves = ResampleOnce(std::vector<ComparedProfile>{a.profile(), b.profile()}, {});
  ASSERT_TRUE(curves.ok()) << curves.status();
  EXPECT_TRUE(curves->empty());
}

TEST(CrossSize, RefusesCurvesThatDoNotFit) {
  const Model a(3, {1, 2}, 1);
  ComparedProfile bad = a.profile();
  const std::vector<double> curves(7);
  bad.curves = curves;
  EXPECT_TRUE(absl::IsInvalidArgument(CompareProfiles(a.profile(), bad, true, {}).status()));
}

TEST(CrossSize, FlatAndZeroProfilesLeaveOutWhatIsUndefined) {
  const Model a(3, {1, 2}, 1);
  const std::vector<double> flat(4, 0.25), zero(4, 0.0);
  const auto with_flat = CompareProfiles(a.profile(), {.per_layer = flat}, false, {});
  ASSERT_TRUE(with_flat.ok());
  EXPECT_FALSE(with_flat->pearson_r);
  EXPECT_TRUE(with_flat->overlap);
  EXPECT_FALSE(with_flat->centroid_rel->interval);
  const auto with_zero = CompareProfiles(a.profile(), {.per_layer = zero}, true, {});
  ASSERT_TRUE(with_zero.ok());
  EXPECT_FALSE(with_zero->centroid_rel);
  EXPECT_FALSE(with_zero->overlap);
}

}  // namespace
}  // namespace induct::analysis
