#include "server/analysis/score_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace induct::analysis {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Three prompts, two layers of one head, two groups; group 1 has operations in prompt 2 only.
constexpr ScoreSums::Shape kShape{.n_prompts = 3, .n_layers = 2, .n_heads = 1, .n_groups = 2};
const std::vector<uint32_t> kCounts = {0, 0, 4};

void AddLayers(ScoreSums& sums) {
  for (const int64_t layer : {0, 1}) {
    const double at = 1 + static_cast<double>(layer);
    // In two waves: [n_prompts, G, H].
    const std::vector<double> first = {at, 0, 2 * at, 0}, last = {3 * at, 4 * at};
    EXPECT_TRUE(sums.Add({layer, 0, 2, false, first}).ok());
    EXPECT_TRUE(sums.Add({layer, 2, 1, true, last}).ok());
  }
}

TEST(ScoreSumsTest, PromptsWithoutOperationsTakeNoMemory) {
  ScoreSums sums(kShape, std::vector<KeptGroup>{{.group = 1, .counts = kCounts}}, DType::kFloat32);
  AddLayers(sums);
  EXPECT_TRUE(sums.CheckComplete().ok());
  EXPECT_THAT(sums.of_prompts(1), ElementsAre(4, 8));
  EXPECT_THAT(sums.rows_of_prompts(1), ElementsAre(kNoRow, kNoRow, 0));
  EXPECT_THAT(sums.of_group(0), ElementsAre(6, 12));
  EXPECT_THAT(sums.of_group(1), ElementsAre(4, 8));
}

TEST(ScoreSumsTest, WithoutCountsEveryPromptHasItsPlace) {
  ScoreSums sums(kShape, std::vector<KeptGroup>{{.group = 1}, {.group = 0}}, DType::kFloat32);
  AddLayers(sums);
  EXPECT_THAT(sums.of_prompts(1), ElementsAre(0, 0, 0, 0, 4, 8));
  EXPECT_THAT(sums.of_prompts(0), ElementsAre(1, 2, 2, 4, 3, 6));
  EXPECT_THAT(sums.rows_of_prompts(1), IsEmpty());
}

TEST(ScoreSumsTest, ConstantsAreAddedToTheRowsThatThereAre) {
  const std::vector<double> constants = {0, 0, 0.5};
  for (const KeptGroup& kept : {KeptGroup{.group = 1}, KeptGroup{.group = 1, .counts = kCounts}}) {
    ScoreSums sums(kShape, {&kept, 1}, DType::kFloat32);
    AddLayers(sums);
    sums.AddConstants(1, constants);
    const std::span<const double> of_prompts = sums.of_prompts(1);
    EXPECT_THAT(of_prompts.last(2), ElementsAre(4.5, 8.5));
    EXPECT_THAT(sums.of_group(1), ElementsAre(4.5, 8.5));
  }
}

}  // namespace
}  // namespace induct::analysis
