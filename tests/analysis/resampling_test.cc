#include "server/analysis/resampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace induct::analysis {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Prompt Of(const std::string& task, uint32_t lag) { return {.task = task, .lag = lag}; }

TEST(StratifyPrompts, NumbersTaskAndLagInOrderOfAppearance) {
  const Strata strata = StratifyPrompts(std::vector<Prompt>{Of("NAMES", 8), Of("ABAB", 8), Of("NAMES", 4),
                                                            Of("ABAB", 8), Of("NAMES", 8), Of("NAMES", 4)});
  EXPECT_THAT(strata.of_prompt, ElementsAre(0, 1, 2, 1, 0, 2));
  EXPECT_EQ(strata.count, 3u);
  EXPECT_THAT(strata.warning, IsEmpty());
}

TEST(StratifyPrompts, PutsTextAndTokensTogether) {
  const Strata strata = StratifyPrompts(std::vector<Prompt>{Of("TEXT", 0), Of("TOKENS", 0)});
  EXPECT_THAT(strata.of_prompt, ElementsAre(0, 0));
  EXPECT_THAT(strata.warning, IsEmpty());
}

TEST(StratifyPrompts, MakesOneStratumOfAllWhereAnyHasASinglePrompt) {
  const Strata strata = StratifyPrompts(
      std::vector<Prompt>{Of("ABAB", 4), Of("ABAB", 4), Of("NAMES", 8), Of("TEXT", 0), Of("TEXT", 0)});
  EXPECT_THAT(strata.of_prompt, ElementsAre(0, 0, 0, 0, 0));
  EXPECT_EQ(strata.count, 1u);
  EXPECT_THAT(strata.warning, HasSubstr("NAMES, lag 8"));
}

TEST(StratifyPrompts, OfOnePromptWarnsOfNothing) {
  EXPECT_THAT(StratifyPrompts(std::vector<Prompt>{Of("ABAB", 4)}).warning, IsEmpty());
}

const Strata kTwoStrata = {.of_prompt = {0, 1, 0, 1, 1}, .count = 2};

TEST(Resampler, DrawsOneFewerOfEachStratumAndWeighsThemUpToItsSize) {
  const std::vector<uint32_t> counts = {1, 2, 3, 4, 5};
  const Resampler resampler(kTwoStrata, counts, 42);
  std::vector<double> weights(5);
  for (uint64_t r = 0; r < 200; ++r) {
    const double n_operations = resampler.Draw(r, weights);
    for (const size_t i : {0, 2}) EXPECT_TRUE(weights[i] == 0 || weights[i] == 2);          // one of two
    for (const size_t i : {1, 3, 4}) EXPECT_DOUBLE_EQ(std::remainder(weights[i], 1.5), 0);  // two of three
    EXPECT_DOUBLE_EQ(weights[0] + weights[2], 2);
    EXPECT_DOUBLE_EQ(weights[1] + weights[3] + weights[4], 3);
    EXPECT_DOUBLE_EQ(n_operations, std::inner_product(weights.begin(), weights.end(), counts.begin(), 0.0));
  }
}

TEST(Resampler, DrawsEveryPromptOnceOnAverage) {
  constexpr int kResamples = 20000;
  const std::vector<uint32_t> counts(5, 1);
  const Resampler resampler(kTwoStrata, counts, 42);
  std::vector<double> weights(5), total(5);
  for (uint64_t r = 0; r < kResamples; ++r) {
    resampler.Draw(r, weights);
    for (size_t i = 0; i < 5; ++i) total[i] += weights[i];
  }
  for (double& t : total) t /= kResamples;
  EXPECT_THAT(total, Each(testing::DoubleNear(1.0, 0.036)));  // 5 standard errors
}

// The variance of a stratum's mean over resamples is that of a mean: s^2 / m, with m - 1 in s^2.
TEST(Resampler, AMeanVariesOverResamplesAsOverDataSets) {
  const std::vector<double> values = {1, 4, 2};
  const std::vector<uint32_t> counts(3, 1);
  const Strata strata{.of_prompt = {0, 0, 0}, .count = 1};
  const Resampler resampler(strata, counts, 5);
  double sum = 0, squares = 0;
  constexpr int kResamples = 50000;
  std::vector<double> weights(3);
  for (uint64_t r = 0; r < kResamples; ++r) {
    const double n = resampler.Draw(r, weights);
    const double mean = std::inner_product(weights.begin(), weights.end(), values.begin(), 0.0) / n;
    sum += mean;
    squares += mean * mean;
  }
  const double variance = squares / kResamples - sum / kResamples * (sum / kResamples);
  const double s2 = (4.0 / 3 * 4 / 3 + 5.0 / 3 * 5 / 3 + 1.0 / 9) / 2;
  EXPECT_NEAR(variance / (s2 / 3), 1, 0.03);
}

TEST(Resampler, AResampleCanBeDrawnAgainAlone) {
  const std::vector<uint32_t> counts(5, 1);
  const Resampler resampler(kTwoStrata, counts, 42);
  std::vector<double> third(5), again(5), other(5);
  resampler.Draw(3, third);
  resampler.Draw(4, other);
  resampler.Draw(3, again);
  EXPECT_EQ(again, third);
}

TEST(Resampler, DrawsAgainWhatHasNoOperations) {
  const std::vector<uint32_t> counts = {0, 0, 7, 0};
  const Strata strata{.of_prompt = {0, 0, 0, 0}, .count = 1};
  const Resampler resampler(strata, counts, 1);
  std::vector<double> weights(4);
  for (uint64_t r = 0; r < 200; ++r) {
    EXPECT_GT(resampler.Draw(r, weights), 0);
    EXPECT_GT(weights[2], 0);
    EXPECT_DOUBLE_EQ(std::accumulate(weights.begin(), weights.end(), 0.0), 4);
  }
}

TEST(CanResample, NotWhereNoDrawHasOperationsOnBothSides) {
  using Counts = std::vector<uint32_t>;
  const Strata two{.of_prompt = {0, 0}, .count = 1}, three{.of_prompt = {0, 0, 0}, .count = 1},
      apart{.of_prompt = {0, 0, 1, 1}, .count = 2};
  EXPECT_FALSE(CanResample(two, Counts{0, 0}));
  EXPECT_TRUE(CanResample(two, Counts{0, 1}));
  EXPECT_FALSE(CanResample(two, Counts{0, 1}, Counts{2, 0})) << "one prompt is drawn";
  EXPECT_FALSE(CanResample(two, Counts{0, 1}, Counts{0, 0}));
  EXPECT_TRUE(CanResample(two, Counts{0, 1}, Counts{2, 3}));
  EXPECT_TRUE(CanResample(two, Counts{0, 1}, Counts{0, 3}));
  EXPECT_TRUE(CanResample(three, Counts{0, 1, 0}, Counts{2, 0, 0})) << "two prompts are drawn";
  EXPECT_FALSE(CanResample(apart, Counts{0, 1, 0, 0}, Counts{2, 0, 0, 0}));
  EXPECT_TRUE(CanResample(apart, Counts{0, 1, 0, 0}, Counts{0, 0, 2, 0}));
}

}  // namespace
}  // namespace induct::analysis
