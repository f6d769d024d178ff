// Whole analyses of simulated models, from tokens and attention through ranking to p-values and intervals:
// do tests keep their size, do intervals hold the truth, and is what is there found? Seeds are fixed, so that
// every run sees the same data sets; bounds allow for their number. docs/method.md has the figures of
// thousands.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/analysis/simulations.h"

namespace induct::analysis {
namespace {

// Three standard errors of a share over so many data sets.
double Allowance(double share, uint64_t n_data_sets) {
  return 3 * std::sqrt(share * (1 - share) / static_cast<double>(n_data_sets));
}

// No p may reject a true null in more than 0.075 of data sets.
void ExpectItsSize(const Tally& tally, const std::string& p, uint64_t n_data_sets) {
  EXPECT_LE(tally.Mean(p), 0.075 + Allowance(0.05, n_data_sets)) << p;
}

class EverySkew : public testing::TestWithParam<Skew> {};
INSTANTIATE_TEST_SUITE_P(Skews, EverySkew, testing::Values(Skew::kNone, Skew::kRight, Skew::kLeft));

TEST_P(EverySkew, ModelsWithoutEffectAreRarelyShownToHaveOne) {
  constexpr uint64_t kDataSets = 200;
  for (const uint32_t n_prompts : {20u, 60u}) {
    const Tally tally =
        CountNoEffect({.skew = GetParam(), .n_prompts = n_prompts, .resamples = 99}, kDataSets);
    for (const char* null : {"uniform", "lag_matched"}) {
      ExpectItsSize(tally, absl::StrCat("p by head <= 0.05, ", null), kDataSets);
      ExpectItsSize(tally, absl::StrCat("p by layer <= 0.05, ", null), kDataSets);
    }
  }
}

TEST_P(EverySkew, GroupsOfTargetsThatAreReadAlikeAreRarelyShownToDiffer) {
  constexpr uint64_t kDataSets = 200;
  const Tally tally = CountContrast({.skew = GetParam(), .n_prompts = 60, .resamples = 99}, kDataSets);
  ExpectItsSize(tally, "p of a contrast <= 0.05", kDataSets);
  EXPECT_GE(tally.Mean("differences of heads held"), 0.92);
  EXPECT_LE(tally.Mean("differences of heads held"), 0.98);
}

TEST_P(EverySkew, HeadsOfAGroupThatResembleEachOtherDoNotGather) {
  constexpr uint64_t kDataSets = 400;
  const Tally tally = CountPermutation({.skew = GetParam(), .n_prompts = 20, .resamples = 199}, kDataSets);
  ExpectItsSize(tally, "some layer of the permutation", kDataSets);
  ExpectItsSize(tally, "spread of depth", kDataSets);
}

// Ranks among like sets have their size exactly.
TEST_P(EverySkew, TopHeadsLikeAnyOthersAreRarelyShownToMatter) {
  constexpr uint64_t kDataSets = 1000;
  const Tally tally = CountCausal({.skew = GetParam(), .n_prompts = 20, .resamples = 20}, kDataSets);
  for (const char* control : {"random_k", "matched_k"}) {
    for (const char* metric : {"copy_nll", "copy_accuracy"}) {
      const std::string p = absl::StrCat("p of ", metric, " <= 0.05, ", control);
      EXPECT_LE(tally.Mean(p), 0.05 + Allowance(0.05, kDataSets)) << p;
    }
  }
}

// Intervals of 95 % hold the truth: of heads, of which none need be chosen, in at least `least` of data sets
// and at most 0.98 (a mean over 96 heads and as many data sets has a standard error of 0.01 at most), and of
// centroids in three standard errors less.
void ExpectCoverage(const Design& design, double least) {
  constexpr uint64_t kDataSets = 100;
  const Tally tally = CountIntervals(design, kDataSets);
  for (const char* of_heads :
       {"scores of heads held", "effects of heads held, uniform", "effects of heads held, lag_matched",
        "effects of heads held, same_distance"}) {
    EXPECT_GE(tally.Mean(of_heads), least) << of_heads;
    EXPECT_LE(tally.Mean(of_heads), 0.98) << of_heads;
  }
  for (const char* of_curves : {"centroid held", "difference of two models' centroids held",
                                "difference of lag buckets' centroids held"})
    EXPECT_GE(tally.Mean(of_curves), least - Allowance(0.95, kDataSets)) << of_curves;
}

TEST(IntervalsOfSimulatedModels, HoldTheTruth) { ExpectCoverage({.n_prompts = 60, .resamples = 199}, 0.92); }

TEST(IntervalsOfSimulatedModels, HoldTheTruthWithTwoPromptsAStratum) {
  std::vector<uint32_t> lags;
  for (uint32_t lag = 4; lag < 34; lag += 2) lags.push_back(lag);
  ExpectCoverage({.n_prompts = 60, .lags = lags, .resamples = 199}, 0.92);
}

// Two prompts of each of eight strata: some 0.88 where 0.95 is asked for; normal quantiles would give 0.86.
TEST(IntervalsOfSimulatedModels, OfFewPromptsAreWidenedAsStudentsTAsks) {
  const Tally tally = CountIntervals({.n_prompts = 16, .resamples = 199}, 100);
  EXPECT_GE(tally.Mean("scores of heads held"), 0.87);
  EXPECT_GE(tally.Mean("effects of heads held, uniform"), 0.87);
}

TEST(EquivalenceOfSimulatedModels, IsRarelySaidOfCurvesThatAreALayerApart) {
  const Tally tally = CountEquivalence({.n_prompts = 60, .resamples = 199}, 200);
  EXPECT_LE(tally.Mean("centroids called equivalent"), 0.05 + Allowance(0.05, 200));
  EXPECT_EQ(tally.Mean("peaks called equivalent"), 0);
}

// Asked for are 0.95 of data sets, and 0.9 of ablations; what is so clear is missed in none.
TEST_P(EverySkew, ThreeInductionHeadsAreFound) {
  const Tally tally = CountPower({.skew = GetParam(), .n_prompts = 60, .resamples = 99}, 60);
  EXPECT_NEAR(tally.Mean("score of a true head"), 0.3, 0.03);
  EXPECT_NEAR(tally.Mean("score of another"), 0.05, 0.01);
  for (const char* null : {"uniform", "lag_matched"}) {
    EXPECT_GE(tally.Mean(absl::StrCat("p by head finds all three, ", null)), 0.95);
    EXPECT_GE(tally.Mean(absl::StrCat("p by layer finds their layers, ", null)), 0.95);
  }
  EXPECT_GE(tally.Mean("p of copy_nll <= 0.05, matched_k"), 0.9);
}

}  // namespace
}  // namespace induct::analysis
