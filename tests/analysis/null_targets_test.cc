// What the targets of the nulls may take; that they give the nulls as defined is in nulls_test.cc.
#include "server/analysis/null_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

using testing::HasSubstr;

std::vector<Prompt> RandomTokens(size_t n_prompts, size_t length, uint64_t vocabulary) {
  Random random(3, "test");
  std::vector<Prompt> prompts(n_prompts, {.task = "TOKENS"});
  for (Prompt& prompt : prompts) {
    for (size_t t = 0; t < length; ++t)
      prompt.tokens.push_back(static_cast<int32_t>(random.Below(vocabulary)));
  }
  return prompts;
}

absl::StatusOr<AntecedentNullTargets> Find(const std::vector<Prompt>& prompts, ScoreKind kind) {
  return FindNullTargets(prompts, kind, Antecedents::kNearest, /*min_lag=*/1, /*first_group=*/0, {});
}

// Made, they would take gigabytes.
TEST(NullTargetsTest, MoreThanMayBeListedIsRefusedBeforeAnyIsMade) {
  const auto targets = Find(RandomTokens(40, 4096, 1000), ScoreKind::kInduction);
  EXPECT_TRUE(absl::IsResourceExhausted(targets.status())) << targets.status();
  EXPECT_EQ(ReasonOf(targets.status()), reason::kOutOfMemory);
  EXPECT_THAT(targets.status().message(), HasSubstr("2147483648 are allowed"));
  EXPECT_THAT(targets.status().message(), HasSubstr("40 prompts"));
  EXPECT_THAT(targets.status().message(), HasSubstr("--shuffle_null false"));
}

// The count that decides is no less than what is made, and at most 1 % more where few tokens are alike.
TEST(NullTargetsTest, RoomIsMadeForWhatIsListedOnce) {
  for (const ScoreKind kind : {ScoreKind::kInduction, ScoreKind::kDuplicate}) {
    const auto targets = Find(RandomTokens(3, 400, 300), kind);
    ASSERT_TRUE(targets.ok()) << targets.status();
    for (const std::vector<engine::ReadoutTarget>& of_prompt : targets->of_prompt) {
      const auto listed = static_cast<double>(of_prompt.size());
      EXPECT_GT(listed, 5000);
      EXPECT_LE(of_prompt.capacity(), 1.01 * listed);
    }
  }
}

}  // namespace
}  // namespace induct::analysis
