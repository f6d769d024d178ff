// Passes over a part of the layers, and the heads' outputs that a pass sums up.
#include <gtest/gtest.h>

#include "tests/engine/pass_results.h"
#include "tests/engine/reference_decoder.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

const std::vector<int> kOutputLengths = {12, 40, 1, 12, 33, 2};

class HeadOutputsTest : public testing::Test {
 protected:
  const TestModel test_model_ = RandomModel(SmallSizes(), 5);
  const TestPrompts prompts_ = RandomPrompts(test_model_.spec, kOutputLengths, 25, 2, 6);

  Pass AllPrompts() const { return {.prompts = prompts_.View(), .n_groups = 2}; }

  HeadOutputTotals Run(const Pass& pass, const LoadOptions& options = {}) const {
    absl::StatusOr<HeadOutputTotals> totals = CollectHeadOutputs(*test_model_.Load(options), pass);
    EXPECT_TRUE(totals.ok()) << totals.status();
    return *std::move(totals);
  }

  HeadOutputTotals Expected(size_t first_position) const {
    const auto d_model = static_cast<size_t>(test_model_.spec.d_model);
    HeadOutputTotals totals = {.sums = std::vector<double>(3 * d_model, 0.0), .n_positions = {0, 0, 0}};
    for (const std::vector<int32_t>& tokens : prompts_.tokens) {
      const ReferenceRun run = RunReference(test_model_.spec, test_model_.source->tensors(), tokens);
      for (size_t layer = 0; layer < 3; ++layer) {
        for (size_t t = first_position; t < tokens.size(); ++t) {
          ++totals.n_positions[layer];
          for (size_t i = 0; i < d_model; ++i) {
            totals.sums[layer * d_model + i] += run.head_outputs[layer][t * d_model + i];
          }
        }
      }
    }
    return totals;
  }

  // float32 in up to three layers, summed over 100 positions
  static void ExpectNear(const HeadOutputTotals& a, const HeadOutputTotals& b, size_t n_layers = 3) {
    for (size_t layer = 0; layer < n_layers; ++layer) EXPECT_EQ(a.n_positions[layer], b.n_positions[layer]);
    for (size_t i = 0; i < a.sums.size(); ++i) EXPECT_NEAR(a.sums[i], b.sums[i], 1e-3) << i;
  }
};

TEST_F(HeadOutputsTest, SumsEqualThePlainLoops) {
  for (const int64_t first_position : {0, 1, 12, 100}) {
    Pass pass = AllPrompts();
    pass.first_output_position = first_position;
    ExpectNear(Run(pass), Expected(static_cast<size_t>(first_position)));
  }
}

TEST_F(HeadOutputsTest, BatchesWavesAndStreamingDoNotChangeSums) {
  const HeadOutputTotals expected = Run(AllPrompts());
  for (const int64_t batch_size : {1, 4}) {
    for (const int64_t budget_tokens : {1, 60, 1000}) {
      Pass pass = AllPrompts();
      pass.batch_size = batch_size;
      pass.activation_budget = budget_tokens * 16 * 4;
      ExpectNear(Run(pass), expected);
    }
  }
  EXPECT_EQ(Run(AllPrompts(), {.stream_layers = true}).sums, expected.sums);
}

TEST_F(HeadOutputsTest, ReadoutsAndResidualStreamsAreTheSameBesideThem) {
  const std::unique_ptr<Model> model = test_model_.Load();
  Pass pass = AllPrompts();
  pass.on_head_outputs = [](const HeadOutputs&) { return absl::OkStatus(); };
  const auto with = CollectSums(*model, pass), without = CollectSums(*model, AllPrompts());
  ASSERT_TRUE(with.ok() && without.ok());
  for (size_t i = 0; i < with->size(); ++i) EXPECT_NEAR((*with)[i], (*without)[i], 1e-5);
  EXPECT_EQ(*CollectResiduals(*model, pass), *CollectResiduals(*model, AllPrompts()));
}

TEST_F(HeadOutputsTest, AnErrorOfTheSinkEndsThePass) {
  Pass pass = AllPrompts();
  pass.on_head_outputs = [](const HeadOutputs&) { return absl::AbortedError("sink"); };
  EXPECT_EQ(test_model_.Load()->Run(pass, {}), absl::AbortedError("sink"));
}

TEST_F(HeadOutputsTest, APassOverTheFirstLayersGivesWhatAWholePassGivesOfThem) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  std::vector<double> whole, part;
  double last_share = 0;
  Pass pass = AllPrompts();
  pass.on_layer = [&](const LayerReadout& readout) {
    if (readout.layer < 2) whole.insert(whole.end(), readout.sums.begin(), readout.sums.end());
    return absl::OkStatus();
  };
  ASSERT_TRUE(model->Run(pass, {}).ok());
  test_model_.source->ForgetReads();
  pass.n_layers = 2;
  pass.on_layer = [&](const LayerReadout& readout) {
    part.insert(part.end(), readout.sums.begin(), readout.sums.end());
    return absl::OkStatus();
  };
  pass.on_progress = [&](double share) { last_share = share; };
  ASSERT_TRUE(model->Run(pass, {}).ok());

  ASSERT_EQ(part.size(), whole.size());
  for (size_t i = 0; i < part.size(); ++i) EXPECT_NEAR(part[i], whole[i], 1e-5);
  EXPECT_DOUBLE_EQ(last_share, 1);
  // The embeddings, a whole layer, and what the second one's queries and keys need.
  EXPECT_EQ(test_model_.source->reads().size(), 1u + 12 + 4);
  EXPECT_EQ(test_model_.source->reads().count(test_model_.spec.layers[1].mlp_input.weight.name), 0u);
}

TEST_F(HeadOutputsTest, APassOverTheFirstLayersHandsOutTheirHeadOutputs) {
  Pass pass = AllPrompts();
  pass.n_layers = 2;
  const HeadOutputTotals totals = Run(pass);
  EXPECT_EQ(totals.n_positions.size(), 2u);
  ExpectNear(totals, Expected(0), 2);
}

}  // namespace
}  // namespace induct::engine
