#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PassValidationTest : public testing::Test {
 protected:
  const std::unique_ptr<Model> model_ = RandomModel(SmallSizes(), 1).Load();
  std::vector<int32_t> good_ = {1, 2, 3};

  // The error of a pass with a good prompt, then one of `tokens` and `targets`.
  absl::Status ErrorOf(const std::vector<int32_t>& tokens, const std::vector<ReadoutTarget>& targets = {}) {
    const absl::Status status = model_->Run(
        {.prompts = {{.tokens = good_}, {.tokens = tokens, .targets = targets}}, .n_groups = 2}, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return status;
  }
};

TEST_F(PassValidationTest, ATokenOutsideTheVocabularyIsNamed) {
  for (const int32_t token : {50, -1, 2000000000}) {
    const absl::Status status = ErrorOf({4, token});
    EXPECT_EQ(ReasonOf(status), reason::kTokenOutsideVocabulary);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("prompt 1"), HasSubstr("position 1"),
                                                     HasSubstr(std::to_string(token)), HasSubstr("49")));
  }
}

TEST_F(PassValidationTest, APromptLongerThanTheContextIsNamedWithBothLengths) {
  const absl::Status status = ErrorOf(std::vector<int32_t>(65, 0));
  EXPECT_EQ(ReasonOf(status), reason::kPromptTooLong);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("prompt 1"), HasSubstr("65"), HasSubstr("64")));
}

TEST_F(PassValidationTest, TheLongestPromptRuns) {
  const std::vector<int32_t> longest(64, 7);
  EXPECT_TRUE(model_->Run({.prompts = {{.tokens = longest}}}, {}).ok());
}

TEST_F(PassValidationTest, AnEmptyPromptOrPassIsRefused) {
  EXPECT_THAT(std::string(ErrorOf({}).message()), HasSubstr("prompt 1 has no tokens"));
  EXPECT_EQ(model_->Run({}, {}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PassValidationTest, TargetsOutOfRangeAreRefused) {
  EXPECT_THAT(std::string(ErrorOf({1, 2}, {{.query = 2, .key = 0}}).message()), HasSubstr("query 2"));
  EXPECT_THAT(std::string(ErrorOf({1, 2}, {{.query = 0, .key = 1}}).message()), HasSubstr("key 1"));
  EXPECT_THAT(std::string(ErrorOf({1, 2}, {{.query = 1, .key = 1, .group = 2}}).message()),
              HasSubstr("group 2"));
}

TEST_F(PassValidationTest, SizesOutOfRangeAreRefused) {
  for (const Pass& pass : {Pass{.prompts = {{.tokens = good_}}, .n_groups = 0},
                           Pass{.prompts = {{.tokens = good_}}, .batch_size = -1},
                           Pass{.prompts = {{.tokens = good_}}, .activation_budget = 0}}) {
    EXPECT_EQ(model_->Run(pass, {}).code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace induct::engine
