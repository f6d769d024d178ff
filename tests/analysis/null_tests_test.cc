// The bootstrap-t test and the head permutation against every possible draw, counted by plain loops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "server/analysis/bootstrap_t.h"
#include "server/analysis/head_permutation.h"

namespace induct::analysis {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::Le;

// t of one head, by the textbook.
double PlainT(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double sd = std::sqrt(squares / (n - 1));
  if (sd < 1e-9) return std::abs(mean) < 1e-9 ? 0 : std::copysign(1e9, mean);
  return mean / (sd / std::sqrt(n));
}

// Two layers of two heads, of which the higher counts for the layer.
struct PlainStatistics {
  std::vector<double> heads, layers;

  explicit PlainStatistics(const std::vector<std::vector<double>>& of_heads) {
    for (const std::vector<double>& values : of_heads) heads.push_back(PlainT(values));
    layers = {std::max(heads[0], heads[1]), std::max(heads[2], heads[3])};
  }
  static double Highest(const std::vector<double>& values) {
    return *std::max_element(values.begin(), values.end());
  }
};

TEST(BootstrapTTest, AgreesWithEveryResampleCountedOut) {
  constexpr size_t kPrompts = 5, kHeads = 4, kAll = 3125;
  const std::vector<std::vector<double>> effects = {{0.2, 0.5, 0.3, 0.4, 0.9},    // above 0
                                                    {0.4, -0.3, 0.2, -0.5, 0.1},  // as often below
                                                    {0.1, 0.7, -0.2, 0.6, -0.4},
                                                    {-0.1, -0.2, -0.9, -0.3, 0.1}};
  std::vector<std::vector<double>> centred = effects;
  for (std::vector<double>& values : centred) {
    const double mean = (values[0] + values[1] + values[2] + values[3] + values[4]) / kPrompts;
    for (double& value : values) value -= mean;
  }
  const PlainStatistics own(effects);
  std::vector<double> of_heads(kHeads), of_layers(2);
  for (size_t draw = 0; draw < kAll; ++draw) {
    std::vector<std::vector<double>> drawn(kHeads);
    for (size_t i = 0, rest = draw; i < kPrompts; ++i, rest /= kPrompts) {
      for (size_t head = 0; head < kHeads; ++head) drawn[head].push_back(centred[head][rest % kPrompts]);
    }
    const PlainStatistics statistics(drawn);
    const double highest_head = PlainStatistics::Highest(statistics.heads);
    const double highest_layer = PlainStatistics::Highest(statistics.layers);
    for (size_t i = 0; i < kHeads; ++i) of_heads[i] += (highest_head >= own.heads[i] - 1e-9) / double{kAll};
    for (size_t i = 0; i < 2; ++i) of_layers[i] += (highest_layer >= own.layers[i] - 1e-9) / double{kAll};
  }
  TestedEffects tested{
      .n_prompts = kPrompts, .n_layers = 2, .n_heads = 2, .n_kept = 1, .resamples = 20000, .seed = 5};
  for (size_t prompt = 0; prompt < kPrompts; ++prompt) {
    for (const std::vector<double>& values : effects) tested.values.push_back(values[prompt]);
  }
  const auto p = BootstrapT(tested, {});
  ASSERT_TRUE(p.ok());
  EXPECT_THAT(p->heads, testing::Pointwise(DoubleNear(0.015), of_heads));
  EXPECT_THAT(p->layers, testing::Pointwise(DoubleNear(0.015), of_layers));
  EXPECT_LT(p->layers[0], p->layers[1]);
}

// Effects that are the same in all prompts, but for the rounding of float32.
TEST(BootstrapTTest, RoundingOfEqualEffectsIsNoVariation) {
  for (const uint32_t n_prompts : {5u, 7u, 33u, 400u}) {
    TestedEffects effects{
        .n_prompts = n_prompts, .n_layers = 1, .n_heads = 4, .n_kept = 1, .resamples = 199, .seed = 5};
    for (uint32_t i = 0; i < n_prompts; ++i) {
      for (const double value : {0.1, -1.0 / 3, 0.0, 1e-4 / 7})
        effects.values.push_back(value * (1 + (i % 3 == 0 ? 3e-8 : 0)));
    }
    const auto p = BootstrapT(effects, {});
    ASSERT_TRUE(p.ok());
    // Few prompts may be drawn whose rounding is the same, and which so say as much.
    const double smallest = n_prompts < 10 ? 0.15 : 1 / 200.0;
    EXPECT_THAT(p->heads, ElementsAre(Le(smallest), 1.0, 1.0, Le(smallest))) << n_prompts << " prompts";
  }
}

TEST(BootstrapTTest, ALayersPCountsTheHeadsThatAreKept) {
  TestedEffects effects{
      .n_prompts = 40, .n_layers = 2, .n_heads = 3, .n_kept = 1, .resamples = 999, .seed = 5};
  for (int i = 0; i < 40; ++i) {
    const double noise = std::sin(12.9898 * i), other = std::cos(78.233 * i);
    effects.values.insert(effects.values.end(),
                          {0.6 + noise, other, -0.6 - noise, other, -noise, noise * other});
  }
  EXPECT_LT(BootstrapT(effects, {})->layers[0], 0.01) << "of its highest head";
  effects.n_kept = 3;
  EXPECT_GT(BootstrapT(effects, {})->layers[0], 0.05) << "of the mean of its three";
}

TEST(BootstrapTTest, TwoSidedItFindsEffectsOfEitherSign) {
  TestedEffects effects{
      .n_prompts = 30, .n_layers = 1, .n_heads = 3, .n_kept = 1, .resamples = 999, .seed = 5};
  for (int i = 0; i < 30; ++i) {
    const double noise = std::sin(12.9898 * i);
    effects.values.insert(effects.values.end(), {0.5 + noise, -0.5 - noise, noise});
  }
  const std::vector<double> one_sided = BootstrapT(effects, {})->heads;
  effects.two_sided = true;
  const std::vector<double> two_sided = BootstrapT(effects, {})->heads;
  EXPECT_LT(one_sided[0], 0.05);
  EXPECT_EQ(one_sided[1], 1);
  EXPECT_LT(two_sided[0], 0.05);
  EXPECT_EQ(two_sided[1], two_sided[0]);
  EXPECT_GT(two_sided[2], 0.2);
}

TEST(BootstrapTTest, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  const TestedEffects effects{
      .values = std::vector<double>(5, 1.0), .n_prompts = 5, .n_layers = 1, .n_heads = 1, .n_kept = 1};
  EXPECT_EQ(BootstrapT(effects, stop.get_token()).status().code(), absl::StatusCode::kCancelled);
}

TEST(HeadPermutation, AgreesWithEveryPlacementCountedOut) {
  // 3 layers of 2 heads, q 0.6: the two highest of six are high, and both stand in the middle layer.
  const std::vector<float> scores = {0.1f, 0.2f, 0.9f, 0.8f, 0.3f, 0.05f};
  const auto result = PermuteHeads(scores, {3, 2, 2}, 0.6, 30000, 9, {});
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

TEST(HeadPermutation, HeadsThatShareAKeyMoveTogether) {
  // 2 layers of 4 heads in 2 groups; both high heads are of one group, and so stay in one layer.
  const std::vector<float> scores = {0.9f, 0.8f, 0.1f, 0.2f, 0.3f, 0.05f, 0.2f, 0.1f};
  const auto result = PermuteHeads(scores, {2, 4, 2}, 0.75, 20000, 9, {});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->observed_density, ElementsAre(0.5, 0));
  EXPECT_EQ(result->p_adjusted[0], 1.0) << "every permutation has a layer with both";
  EXPECT_THAT(result->null_mean, Each(DoubleNear(0.25, 0.01)));
  EXPECT_EQ(result->depth_spread->p, 1.0);
  const auto apart = PermuteHeads(scores, {2, 4, 4}, 0.75, 20000, 9, {});
  EXPECT_NEAR(apart->p_adjusted[0], 3 / 7.0, 0.02) << "of 28 pairs of places 12 share a layer";
  EXPECT_EQ(apart->reason, "");
}

TEST(HeadPermutation, WhereLayersMoveWholeThereIsNoPAndTheReasonSaysWhy) {
  const auto result = PermuteHeads(std::vector<float>{0.9f, 0.8f, 0.1f, 0.2f}, {2, 2, 1}, 0.6, 100, 9, {});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->p_adjusted, testing::IsEmpty());
  EXPECT_THAT(result->reason, testing::HasSubstr("share one key and value"));
  EXPECT_THAT(result->observed_density, ElementsAre(1, 0));
  EXPECT_TRUE(result->depth_spread);
}

TEST(HeadPermutation, FlatScoresHaveNoHighHeads) {
  const auto result = PermuteHeads(std::vector<float>(6, 0.5f), {3, 2, 2}, 0.9, 100, 9, {});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->observed_density, Each(0.0));
  EXPECT_THAT(result->p_adjusted, Each(1.0));
  EXPECT_FALSE(result->depth_spread);
}

}  // namespace
}  // namespace induct::analysis
