// What the sums of a pass may take; what they are is in causal_test.cc.
#include "server/analysis/prediction_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "tests/analysis/fake_model.h"

namespace induct::analysis {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// 24 bytes a variant and prompt.
TEST(PredictionSumsTest, MoreThanMayBeSummedIsRefusedBeforeThePass) {
  FakeModel model(1, 1, HashedAttention);
  model.predictor = [](const auto&...) { return engine::Prediction{.nll = 1}; };
  const std::vector<std::vector<engine::Head>> variants(20'000);
  const std::vector<Prompt> prompts(9'000, {.tokens = {1, 2}});
  const auto sums = SumPredictions(model, {.prompts = prompts, .variants = variants}, {}, {});
  EXPECT_TRUE(absl::IsResourceExhausted(sums.status())) << sums.status();
  EXPECT_EQ(ReasonOf(sums.status()), reason::kOutOfMemory);
  for (const char* part : {"20000 variants", "9000 prompts", "4320000000 bytes", "4294967296 are allowed",
                           "random_draws", "n_sequences"})
    EXPECT_THAT(sums.status().message(), HasSubstr(part));
  EXPECT_THAT(model.ablation_passes, IsEmpty());
}

TEST(PredictionSumsTest, FewerAreSummed) {
  FakeModel model(1, 1, HashedAttention);
  model.predictor = [](const auto&...) { return engine::Prediction{.nll = 1}; };
  const std::vector<std::vector<engine::Head>> variants(2);
  const std::vector<Prompt> prompts(3, {.tokens = {1, 2}});
  const auto sums = SumPredictions(model, {.prompts = prompts, .variants = variants}, {}, {});
  ASSERT_TRUE(sums.ok()) << sums.status();
  EXPECT_EQ(sums->other_nll.sums, std::vector<double>(6, 1));
}

}  // namespace
}  // namespace induct::analysis
