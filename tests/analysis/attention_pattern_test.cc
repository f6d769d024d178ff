#include "server/analysis/attention_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "tests/analysis/fake_model.h"

namespace induct::analysis {
namespace {

using ::testing::HasSubstr;

TEST(AttentionPattern, IsTheHeadsProbabilitiesAndNothingAboveTheDiagonal) {
  FakeModel model(3, 4, HashedAttention);
  const std::vector<int32_t> tokens = {0, 7, 8, 7, 9, 8};
  const auto pattern = ReadAttentionPattern(model, tokens, {.layer = 1, .head = 2}, {}, {}, {});
  ASSERT_TRUE(pattern.ok()) << pattern.status();
  EXPECT_EQ(model.last_pass.n_layers, 2);
  for (uint32_t query = 0; query < 6; ++query) {
    for (uint32_t key = 0; key < 6; ++key) {
      const double expected = key <= query ? HashedAttention(tokens, 1, 2, query, key) : 0;
      EXPECT_NEAR((*pattern)[query * 6 + key], expected, 1e-7) << query << ", " << key;
    }
  }
}

TEST(AttentionPattern, ALongPromptIsReadInSeveralPasses) {
  FakeModel model(1, 64,
                  [](auto, uint32_t, uint32_t, uint32_t query, uint32_t key) { return query * 1e-3 + key; });
  const std::vector<int32_t> tokens(600, 1);  // 180,300 pairs of 64 heads: two passes
  std::vector<double> progress;
  const auto pattern =
      ReadAttentionPattern(model, tokens, {}, {}, {}, [&](double share) { progress.push_back(share); });
  ASSERT_TRUE(pattern.ok()) << pattern.status();
  EXPECT_EQ(progress, (std::vector<double>{0.5, 1.0}));
  for (uint32_t query = 0; query < 600; query += 37) {
    EXPECT_NEAR((*pattern)[query * 600 + query], query * 1.001, 1e-3);
    EXPECT_NEAR((*pattern)[query * 600], query * 1e-3, 1e-6);
  }
}

TEST(AttentionPattern, HeadsOutsideTheModelAndLongPromptsAreRefused) {
  FakeModel model(3, 4, HashedAttention);
  const std::vector<int32_t> tokens(4, 1), too_many(kMaxPatternTokens + 1, 1);
  for (const engine::Head head : {engine::Head{3, 0}, engine::Head{0, 4}}) {
    const absl::Status status = ReadAttentionPattern(model, tokens, head, {}, {}, {}).status();
    EXPECT_EQ(FieldOf(status), "head");
    EXPECT_THAT(std::string(status.message()), HasSubstr("layers are 0 to 2, heads 0 to 3"));
  }
  EXPECT_EQ(FieldOf(ReadAttentionPattern(model, too_many, {}, {}, {}, {}).status()), "prompt");
}

}  // namespace
}  // namespace induct::analysis
