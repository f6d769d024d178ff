#include "server/analysis/resampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(Resampler, KeepsTheSizeOfEachStratum) {
  const std::vector<uint32_t> counts = {1, 2, 3, 4, 5};
  const Resampler resampler(kTwoStrata, counts, 42);
  std::vector<uint32_t> weights(5);
  for (uint64_t r = 0; r < 200; ++r) {
    const uint64_t n_operations = resampler.Draw(r, weights);
    EXPECT_EQ(weights[0] + weights[2], 2u);
    EXPECT_EQ(weights[1] + weights[3] + weights[4], 3u);
    EXPECT_EQ(n_operations, std::inner_product(weights.begin(), weights.end(), counts.begin(), uint64_t{0}));
  }
}

TEST(Resampler, DrawsEveryPromptOnceOnAverage) {
  constexpr int kResamples = 20000;
  const std::vector<uint32_t> counts(5, 1);
  const Resampler resampler(kTwoStrata, counts, 42);
  std::vector<uint32_t> weights(5);
  std::vector<double> total(5);
  for (uint64_t r = 0; r < kResamples; ++r) {
    resampler.Draw(r, weights);
    for (size_t i = 0; i < 5; ++i) total[i] += weights[i];
  }
  for (double& t : total) t /= kResamples;
  EXPECT_THAT(total, Each(testing::DoubleNear(1.0, 0.03)));  // 5 standard errors
}

TEST(Resampler, AResampleCanBeDrawnAgainAlone) {
  const std::vector<uint32_t> counts(5, 1);
  const Resampler resampler(kTwoStrata, counts, 42);
  std::vector<uint32_t> third(5), again(5), other(5);
  resampler.Draw(3, third);
  resampler.Draw(4, other);
  resampler.Draw(3, again);
  EXPECT_EQ(again, third);
}

TEST(Resampler, DrawsAgainWhatHasNoOperations) {
  const std::vector<uint32_t> counts = {0, 0, 7, 0};
  const Strata strata{.of_prompt = {0, 0, 0, 0}, .count = 1};
  const Resampler resampler(strata, counts, 1);
  std::vector<uint32_t> weights(4);
  for (uint64_t r = 0; r < 200; ++r) {
    EXPECT_GT(resampler.Draw(r, weights), 0u);
    EXPECT_GT(weights[2], 0u);
    EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0u), 4u);
  }
}

}  // namespace
}  // namespace induct::analysis
