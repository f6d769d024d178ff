// The sign-flip test and the head permutation against every possible draw, counted by plain loops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "server/analysis/head_permutation.h"
#include "server/analysis/sign_flip.h"

namespace induct::analysis {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;

// t of one column, by the textbook.
double PlainT(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / values.size();
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double sd = std::sqrt(squares / (values.size() - 1));
  return sd < 1e-12 ? 0 : mean / (sd / std::sqrt(values.size()));
}

TEST(SignFlipTest, AgreesWithEveryFlipCountedOut) {
  constexpr size_t kPrompts = 8, kColumns = 3;
  std::vector<double> effects;
  for (size_t i = 0; i < kPrompts; ++i) {
    effects.push_back(0.3 + 0.1 * i);             // clearly above 0
    effects.push_back(i % 2 == 0 ? 0.4 : -0.35);  // as often below
    effects.push_back(0.2 * std::sin(3.0 * i) + 0.1);
  }
  const auto flipped = [&](size_t column, unsigned flip) {
    std::vector<double> values;
    for (size_t i = 0; i < kPrompts; ++i)
      values.push_back((flip >> i & 1 ? -1 : 1) * effects[i * kColumns + column]);
    return PlainT(values);
  };
  std::vector<double> exact(kColumns);
  for (unsigned flip = 0; flip < 1u << kPrompts; ++flip) {
    const double most = std::max({flipped(0, flip), flipped(1, flip), flipped(2, flip)});
    for (size_t c = 0; c < kColumns; ++c) exact[c] += (most >= flipped(c, 0) - 1e-9) / 256.0;
  }
  const auto p = SignFlipTest(effects, kPrompts, 20000, 5, {});
  ASSERT_TRUE(p.ok());
  for (size_t c = 0; c < kColumns; ++c) EXPECT_NEAR(p->at(c), exact[c], 0.012) << "column " << c;
}

TEST(SignFlipTest, EffectsWithoutAnyVariationGiveNoEvidence) {
  const std::vector<double> effects = {0.5, 0.0, 0.5, 0.0, 0.5, 0.0};  // a constant column and one of zeros
  const auto p = SignFlipTest(effects, 3, 99, 5, {});
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p->at(1), 1.0);
  EXPECT_GT(p->at(0), 0.1);
}

TEST(SignFlipTest, RoundingOfEqualEffectsIsNoVariation) {
  for (const size_t n_prompts : {3, 7, 10, 33, 400}) {
    std::vector<double> effects;
    for (size_t i = 0; i < n_prompts; ++i) {
      for (const double value : {0.1, 1.0 / 3, 0.7071, 1e-4 / 7})
        effects.push_back(value * (1 + (i % 3 == 0 ? 3e-8 : 0)));  // as float32 rounds
    }
    const auto p = SignFlipTest(effects, n_prompts, 199, 5, {});
    ASSERT_TRUE(p.ok());
    EXPECT_THAT(*p, Each(p->at(0))) << n_prompts << " prompts: all columns say the same, which is nothing";
    EXPECT_GT(p->at(0), 0.1) << n_prompts;
  }
}

TEST(SignFlipTest, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(SignFlipTest(std::vector<double>{1, 2}, 2, 9, 1, stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(HeadPermutation, AgreesWithEveryPlacementCountedOut) {
  // 3 layers of 2 heads, q 0.6: the two highest of six are high, and both stand in the middle layer.
  const std::vector<float> scores = {0.1f, 0.2f, 0.9f, 0.8f, 0.3f, 0.05f};
  const auto result = PermuteHeads(scores, 3, 2, 0.6, 30000, 9, {});
  ASSERT_TRUE(result.ok());
  EXPECT_NEAR(result->threshold, 0.3, 1e-6);
  EXPECT_THAT(result->observed_density, ElementsAre(0, 1, 0));
  // Of the 15 pairs of places 3 share a layer, 8 lie in neighbouring layers, 4 in the outer ones.
  EXPECT_THAT(result->null_mean, Each(DoubleNear(1 / 3.0, 0.01)));
  EXPECT_NEAR(result->p_adjusted[1], 3 / 15.0, 0.01);
  EXPECT_EQ(result->p_adjusted[0], 1.0);
  EXPECT_THAT(result->band_low, Each(0.0));
  EXPECT_THAT(result->band_high, Each(1.0));  // both in one layer: 1 of 15, more than 5 %
  EXPECT_EQ(result->max_quantile, 1.0);
  ASSERT_TRUE(result->depth_spread);
  EXPECT_EQ(result->depth_spread->observed, 0.0);
  EXPECT_NEAR(result->depth_spread->p, 3 / 15.0, 0.01);
  EXPECT_NEAR(result->depth_spread->null_mean, (8 * 0.5 + 4 * 1.0) / 15 / 3, 0.005);
}

TEST(HeadPermutation, FlatScoresHaveNoHighHeads) {
  const auto result = PermuteHeads(std::vector<float>(6, 0.5f), 3, 2, 0.9, 100, 9, {});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->observed_density, Each(0.0));
  EXPECT_THAT(result->p_adjusted, Each(1.0));
  EXPECT_FALSE(result->depth_spread);
}

}  // namespace
}  // namespace induct::analysis
