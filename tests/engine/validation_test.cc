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

TEST_F(PassValidationTest, APromptLongerThanASlidingWindowIsRefusedNamingIt) {
  TestModel windowed = RandomModel(SmallSizes(), 1);
  windowed.spec.sliding_window = 20;
  const std::unique_ptr<Model> model = windowed.Load();
  const std::vector<int32_t> fits(20, 7), too_long(21, 7);
  EXPECT_TRUE(model->Run({.prompts = {{.tokens = fits}}}, {}).ok());
  for (const absl::Status& status :
       {model->Run({.prompts = {{.tokens = too_long}}}, {}),
        model->RunVariants({.prompts = {too_long},
        .variants = {{}},
        .on_predictions = [](const PromptPredictions&) { return absl::OkStatus(); }},
                           {})}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ReasonOf(status), reason::kPromptTooLong);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("21 tokens"), HasSubstr("sliding window of 20")));
  }
}

TEST_F(PassValidationTest, AWindowAsLongAsTheContextLeavesTheContextAsTheLimit) {
  TestModel windowed = RandomModel(SmallSizes(), 1);
  windowed.spec.sliding_window = 64;
  const std::vector<int32_t> longest(64, 7), too_long(65, 7);
  const std::unique_ptr<Model> model = windowed.Load();
  EXPECT_TRUE(model->Run({.prompts = {{.tokens = longest}}}, {}).ok());
  EXPECT_THAT(std::string(model->Run({.prompts = {{.tokens = too_long}}}, {}).message()),
              HasSubstr("context holds 64"));
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
                           Pass{.prompts = {{.tokens = good_}}, .activation_budget = 0},
                           Pass{.prompts = {{.tokens = good_}}, .n_layers = -1},
                           Pass{.prompts = {{.tokens = good_}}, .n_layers = 4},
                           Pass{.prompts = {{.tokens = good_}}, .first_output_position = -1}}) {
    EXPECT_EQ(model_->Run(pass, {}).code(), absl::StatusCode::kInvalidArgument);
  }
}

class AblationPassValidationTest : public PassValidationTest {
 protected:
  const std::vector<float> vectors_ = std::vector<float>(3 * 16, 0.0f);
  const AblationPass good_pass_ = {
      .prompts = {good_},
      .variants = {{}, {{.layer = 2, .head = 1}, {.layer = 0, .head = 1}}},
      .replacement = vectors_,
      .on_predictions = [](const PromptPredictions&) { return absl::OkStatus(); }};

  // The error of the good pass with a fault.
  absl::Status ErrorOf(const std::function<void(AblationPass&)>& fault) {
    AblationPass pass = good_pass_;
    fault(pass);
    const absl::Status status = model_->RunVariants(pass, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return status;
  }
};

TEST_F(AblationPassValidationTest, AGoodPassRuns) { EXPECT_TRUE(model_->RunVariants(good_pass_, {}).ok()); }

TEST_F(AblationPassValidationTest, HeadsOutsideTheModelOrTwiceInAVariantAreNamed) {
  const auto with_head = [&](Head head) {
    return std::string(ErrorOf([&](AblationPass& pass) { pass.variants.back().push_back(head); }).message());
  };
  EXPECT_THAT(with_head({.layer = 3, .head = 0}), HasSubstr("variant 1: head 0 of layer 3 is not one"));
  EXPECT_THAT(with_head({.layer = 0, .head = 2}), HasSubstr("variant 1: head 2 of layer 0 is not one"));
  EXPECT_THAT(with_head({.layer = 0, .head = 1}), HasSubstr("variant 1: head 1 of layer 0 comes twice"));
}

TEST_F(AblationPassValidationTest, AReplacementOfAnotherSizeIsNamedWithBothSizes) {
  const absl::Status status =
      ErrorOf([&](AblationPass& pass) { pass.replacement = std::span(vectors_).first(16); });
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("16"), HasSubstr("48")));
}

TEST_F(AblationPassValidationTest, WhatIsMissingOrOutOfRangeIsRefused) {
  const std::vector<int32_t> outside = {1, 50};
  const std::vector<std::function<void(AblationPass&)>> faults = {
      [](AblationPass& pass) { pass.prompts.clear(); },
      [](AblationPass& pass) { pass.variants.clear(); },
      [](AblationPass& pass) { pass.on_predictions = nullptr; },
      [](AblationPass& pass) { pass.first_position = -1; },
      [](AblationPass& pass) { pass.batch_size = -1; },
      [](AblationPass& pass) { pass.activation_budget = 0; },
      [&](AblationPass& pass) { pass.prompts.emplace_back(outside); },
      [](AblationPass& pass) { pass.prompts.emplace_back(); }};
  for (const auto& fault : faults) EXPECT_FALSE(ErrorOf(fault).ok());
}

}  // namespace
}  // namespace induct::engine
