#include "server/analysis/prompt_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

namespace induct::analysis {
namespace {

// Prompts of the tasks and lags given, mixed up.
std::vector<Prompt> PromptsOf(const std::vector<std::pair<std::string, uint32_t>>& strata,
                              const std::vector<size_t>& sizes) {
  std::vector<Prompt> prompts;
  for (size_t round = 0; round < *std::max_element(sizes.begin(), sizes.end()); ++round) {
    for (size_t s = 0; s < strata.size(); ++s) {
      if (round < sizes[s]) prompts.push_back({.task = strata[s].first, .lag = strata[s].second});
    }
  }
  return prompts;
}

TEST(SplitPrompts, HalvesEachStratumAndTheWhole) {
  const std::vector<std::pair<std::string, uint32_t>> strata = {
      {"ABAB", 4}, {"ABAB", 8}, {"NAMES", 4}, {"TEXT", 0}, {"RANDOM", 8}};
  const std::vector<std::vector<size_t>> cases = {
      {1, 1, 1, 1, 1}, {2, 1, 0, 0, 0}, {0, 0, 2, 0, 0}, {3, 5, 7, 1, 2}, {10, 10, 11, 1, 1}};
  for (const std::vector<size_t>& sizes : cases) {
    const std::vector<Prompt> prompts = PromptsOf(strata, sizes);
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const PromptSplit split = SplitPrompts(prompts, seed);
      std::set<uint32_t> all(split.selection.begin(), split.selection.end());
      all.insert(split.evaluation.begin(), split.evaluation.end());
      ASSERT_EQ(all.size(), prompts.size());
      ASSERT_EQ(split.selection.size() + split.evaluation.size(), prompts.size());
      ASSERT_FALSE(split.selection.empty());
      ASSERT_FALSE(split.evaluation.empty());
      EXPECT_TRUE(std::is_sorted(split.selection.begin(), split.selection.end()));
      EXPECT_TRUE(std::is_sorted(split.evaluation.begin(), split.evaluation.end()));
      std::map<std::pair<std::string, uint32_t>, int> more_in_selection;
      for (const uint32_t i : split.selection) ++more_in_selection[{prompts[i].task, prompts[i].lag}];
      for (const uint32_t i : split.evaluation) --more_in_selection[{prompts[i].task, prompts[i].lag}];
      int total = 0;
      for (const auto& [stratum, more] : more_in_selection) {
        EXPECT_LE(std::abs(more), 1) << stratum.first << " " << stratum.second;
        total += more;
      }
      EXPECT_LE(std::abs(total), 1);
    }
  }
}

TEST(SplitPrompts, TextAndTokensAreOneStratum) {
  const PromptSplit split = SplitPrompts(PromptsOf({{"TEXT", 0}, {"TOKENS", 0}}, {1, 1}), 5);
  EXPECT_EQ(split.selection.size(), 1u);
  EXPECT_EQ(split.evaluation.size(), 1u);
}

TEST(SplitPrompts, EveryPromptIsAsOftenInEitherHalfAndSeedsDiffer) {
  const std::vector<Prompt> prompts = PromptsOf({{"ABAB", 4}, {"ABAB", 8}}, {6, 6});
  std::vector<int> selected(12);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    for (const uint32_t i : SplitPrompts(prompts, seed).selection) ++selected[i];
  }
  for (const int times : selected) EXPECT_NEAR(times, 500, 80);  // 5 standard deviations
  EXPECT_EQ(SplitPrompts(prompts, 7).selection, SplitPrompts(prompts, 7).selection);
  EXPECT_NE(SplitPrompts(prompts, 7).selection, SplitPrompts(prompts, 8).selection);
}

TEST(SplitPrompts, StrataDrawApart) {  // the same pattern in each would leave half of the pairs together
  const std::vector<Prompt> prompts = PromptsOf({{"ABAB", 4}, {"ABAB", 8}}, {20, 20});
  std::set<uint32_t> first, second;
  for (const uint32_t i : SplitPrompts(prompts, 3).selection) (i % 2 == 0 ? first : second).insert(i / 2);
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace induct::analysis
