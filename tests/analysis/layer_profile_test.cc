#include "server/analysis/layer_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace induct::analysis {
namespace {

using testing::ElementsAre;

constexpr double kDoubleRounding = 1e-12;

TEST(HeadsKept, IsTheTopShareAndAtLeastOne) {
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 0.9, 4), 1u);
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 0.9, 8), 1u);
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 0.9, 16), 2u);
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 0.5, 1), 1u);
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 0.999999, 12), 1u);
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 1.0, 12), 1u);
  EXPECT_EQ(HeadsKept(Aggregation::kTopQ, 0.0, 12), 12u);
  EXPECT_EQ(HeadsKept(Aggregation::kMean, 0.9, 12), 12u);
}

TEST(RankHeads, TakesTheHighestOfEachLayerAndTheLowerIndexOnTies) {
  const std::vector<float> scores = {0.1f, 0.4f, 0.3f, 0.4f,   // layer 0
                                     0.2f, 0.2f, 0.2f, 0.9f};  // layer 1
  EXPECT_THAT(RankHeads(scores, 2, 4, 3), ElementsAre(1, 3, 2, 3, 0, 1));
}

TEST(RankHeads, KeepsTheOrderOfManyEqualHeads) {
  const std::vector<float> scores(64, 0.5f);
  const std::vector<uint32_t> kept = RankHeads(scores, 1, 64, 64);
  for (uint32_t head = 0; head < 64; ++head) EXPECT_EQ(kept[head], head);
}

TEST(MeanOfKept, AveragesInDouble) {
  const std::vector<float> scores = {0.1f, 0.7f, 0.4f};
  const std::vector<uint32_t> kept = {1, 2};
  EXPECT_DOUBLE_EQ(MeanOfKept(std::span<const float>(scores), kept), (double{0.7f} + double{0.4f}) / 2);
}

// The plan's bandwidth depends on the number of layers; the interpolated one does not.
TEST(SummarizeProfile, OfAFlatCurve) {
  for (const auto& [n_layers, bandwidth] : {std::pair{6, 1.0}, std::pair{24, 0.75}}) {
    const auto statistics = SummarizeProfile(std::vector<double>(n_layers, 0.25));
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->peak_layer, 0u);
    EXPECT_NEAR(*statistics->centroid_rel, 0.5, kDoubleRounding);
    EXPECT_NEAR(*statistics->bandwidth, bandwidth, kDoubleRounding);
    EXPECT_NEAR(*statistics->bandwidth_interpolated, 0.68, kDoubleRounding);
    EXPECT_EQ(statistics->centroid_above_background, std::nullopt);
    EXPECT_EQ(statistics->bandwidth_above_background, std::nullopt);
  }
}

struct KnownCurve {
  std::vector<double> curve;
  uint32_t peak_layer;
  double peak_rel, peak_depth, centroid_rel, bandwidth, bandwidth_interpolated, centroid_above,
      bandwidth_above;
};

// Recorded from a NumPy program of the definitions.
const KnownCurve kKnownCurves[] = {
    {{0.02, 0.05, 0.31, 0.4, 0.11, 0.03},
     3,
     0.5,
     0.5833333333333334,
     0.5289855072463768,
     0.3333333333333333,
     0.2888279569892474,
     0.5258620689655171,
     0.23337862318840574},
    {{0, 0, 1, 0}, 2, 0.5, 0.625, 0.625, 0.25, 0.17, 0.625, 0.17},
    {{0.3, 0.3, 0.1, 0.05, 0.2}, 0, 0.0, 0.1, 0.4052631578947369, 1.0, 0.7466666666666667, 0.2, 0.272},
    {{0.5, 0.25, 0.25, 0.5}, 0, 0.0, 0.125, 0.5, 1.0, 0.76, 0.5, 0.84},
};

TEST(SummarizeProfile, OfKnownCurves) {
  for (const KnownCurve& known : kKnownCurves) {
    SCOPED_TRACE(testing::PrintToString(known.curve));
    const auto statistics = SummarizeProfile(known.curve);
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->peak_layer, known.peak_layer);
    EXPECT_NEAR(statistics->peak_rel, known.peak_rel, kDoubleRounding);
    EXPECT_NEAR(statistics->peak_depth, known.peak_depth, kDoubleRounding);
    EXPECT_NEAR(statistics->centroid_rel.value(), known.centroid_rel, kDoubleRounding);
    EXPECT_NEAR(statistics->bandwidth.value(), known.bandwidth, kDoubleRounding);
    EXPECT_NEAR(statistics->bandwidth_interpolated.value(), known.bandwidth_interpolated, kDoubleRounding);
    EXPECT_NEAR(statistics->centroid_above_background.value(), known.centroid_above, kDoubleRounding);
    EXPECT_NEAR(statistics->bandwidth_above_background.value(), known.bandwidth_above, kDoubleRounding);
  }
}

TEST(SummarizeProfile, OfOneLayer) {
  const auto statistics = SummarizeProfile(std::vector<double>{0.3});
  ASSERT_TRUE(statistics);
  EXPECT_DOUBLE_EQ(statistics->peak_depth, 0.5);
  EXPECT_DOUBLE_EQ(*statistics->bandwidth, 1.0);
}

TEST(SummarizeProfile, OfAZeroCurveIsAbsent) { EXPECT_FALSE(SummarizeProfile(std::vector<double>(6, 0.0))); }

TEST(SummarizeProfile, OfTinyScoresIsAsOfLargeOnes) {
  const auto tiny = SummarizeProfile(std::vector<double>{1e-300, 3e-300, 1e-300});
  ASSERT_TRUE(tiny);
  EXPECT_NEAR(*tiny->centroid_rel, 0.5, kDoubleRounding);
}

TEST(Aggregation, NamesAreReadBack) {
  for (const Aggregation a : {Aggregation::kTopQ, Aggregation::kMean})
    EXPECT_EQ(ParseAggregation(AggregationName(a)), a);
  EXPECT_EQ(ParseAggregation("max"), std::nullopt);
}

}  // namespace
}  // namespace induct::analysis
