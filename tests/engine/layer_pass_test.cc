// What a pass promises whatever way it is cut: micro-batches, waves, streamed layers, stopping, errors of
// sinks.
#include <gtest/gtest.h>

#include <set>

#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

constexpr int kPassGroups = 3;
const std::vector<int> kPassLengths = {12, 40, 1, 12, 33, 40, 7, 12};

class LayerPassTest : public testing::Test {
 protected:
  const TestModel test_model_ = RandomModel(SmallSizes(), 5);
  const TestPrompts prompts_ = RandomPrompts(test_model_.spec, kPassLengths, 25, kPassGroups, 6);

  Pass AllPrompts() const { return {.prompts = prompts_.View(), .n_groups = kPassGroups}; }

  std::vector<double> Sums(Model& model, const Pass& pass) const {
    absl::StatusOr<std::vector<double>> sums = CollectSums(model, pass);
    EXPECT_TRUE(sums.ok()) << sums.status();
    return *std::move(sums);
  }

  static void ExpectNear(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << i;
  }
};

TEST_F(LayerPassTest, PromptsOfDifferentLengthsGiveTheSameSumsAsEachAlone) {
  const std::unique_ptr<Model> model = test_model_.Load();
  const std::vector<double> together = Sums(*model, AllPrompts());
  const size_t per_prompt = kPassGroups * 2;
  for (size_t prompt = 0; prompt < kPassLengths.size(); ++prompt) {
    const std::vector<double> alone =
        Sums(*model, {.prompts = {prompts_.View()[prompt]}, .n_groups = kPassGroups});
    for (size_t i = 0; i < alone.size(); ++i) {
      const size_t layer = i / per_prompt;
      EXPECT_NEAR(alone[i], together[(layer * kPassLengths.size() + prompt) * per_prompt + i % per_prompt], 1e-5);
    }
  }
}

TEST_F(LayerPassTest, BatchSizeDoesNotChangeSums) {
  const std::unique_ptr<Model> model = test_model_.Load();
  const std::vector<double> together = Sums(*model, AllPrompts());
  for (const int64_t batch_size : {1, 3, 4096}) {
    Pass pass = AllPrompts();
    pass.batch_size = batch_size;
    ExpectNear(Sums(*model, pass), together, 1e-5);
  }
}

TEST_F(LayerPassTest, ASmallActivationBudgetRunsInWavesWithTheSameSums) {
  const std::unique_ptr<Model> model = test_model_.Load();
  const std::vector<double> one_wave = Sums(*model, AllPrompts());
  // The first prompts of the waves, by the tokens that the budget holds.
  const std::map<int64_t, std::set<int64_t>> expected = {
      {1, {0, 1, 2, 3, 4, 5, 6, 7}}, {50, {0, 1, 3, 5, 7}}, {100, {0, 5}}};
  for (const auto& [tokens, expected_waves] : expected) {
    Pass pass = AllPrompts();
    pass.activation_budget = tokens * 16 * 4;  // D values of 4 bytes a token
    ExpectNear(Sums(*model, pass), one_wave, 1e-5);

    std::set<int64_t> waves;
    pass.on_layer = [&](const LayerReadout& readout) {
      waves.insert(readout.first_prompt);
      return absl::OkStatus();
    };
    ASSERT_TRUE(model->Run(pass, {}).ok());
    EXPECT_EQ(waves, expected_waves) << tokens;
  }
}

TEST_F(LayerPassTest, StreamedLayersGiveTheSameSumsBitForBit) {
  EXPECT_EQ(Sums(*test_model_.Load({.stream_layers = true}), AllPrompts()),
            Sums(*test_model_.Load(), AllPrompts()));
}

TEST(StreamedEmbeddingsTest, OfSeveralBlocksGiveTheSameSumsBitForBit) {
  DecoderSpec sizes = SmallSizes();
  sizes.vocab_size = 140000;  // rows of 64 bytes: three blocks of 4 MiB
  const TestModel model = RandomModel(sizes, 5);
  const TestPrompts prompts = RandomPrompts(model.spec, {30, 7, 30, 18}, 20, 1, 6);
  const auto sums = [&](const LoadOptions& options) {
    return CollectSums(*model.Load(options), {.prompts = prompts.View()}).value();
  };
  EXPECT_EQ(sums({.stream_layers = true}), sums({}));
}

TEST_F(LayerPassTest, AStreamedPassReadsEachTensorThatItNeedsOnce) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  EXPECT_TRUE(test_model_.source->reads().empty()) << "what loading reads would be held";
  Pass pass = AllPrompts();
  pass.batch_size = 2;
  Sums(*model, pass);

  std::map<std::string, int> expected = {{test_model_.spec.token_embedding.name, 1}};
  for (const LayerTensors& layer : test_model_.spec.layers) {
    std::vector<const TensorSpec*> tensors = TensorsOf(layer);
    // The last layer ends after its queries and keys.
    if (&layer == &test_model_.spec.layers.back()) tensors.resize(4);
    for (const TensorSpec* tensor : tensors) expected[tensor->name] = 1;
  }
  EXPECT_EQ(test_model_.source->reads(), expected);
}

TEST_F(LayerPassTest, ALayersReadErrorEndsTheStreamedPassAsItIs) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  test_model_.source->before_read = [](const std::string& name) {
    return name.find("layers.1.mlp") == std::string::npos ? absl::OkStatus()
                                                          : absl::DataLossError("disk: " + name);
  };
  const absl::Status status = CollectSums(*model, AllPrompts()).status();
  EXPECT_EQ(status, absl::DataLossError("disk: gpt_neox.layers.1.mlp.dense_h_to_4h.weight"));
  test_model_.source->before_read = nullptr;
  EXPECT_TRUE(CollectSums(*model, AllPrompts()).ok());
}

TEST_F(LayerPassTest, StopEndsThePassBeforeTheNextMicroBatch) {
  const std::unique_ptr<Model> model = test_model_.Load();
  std::stop_source stop;
  int micro_batches = 0;
  Pass pass = AllPrompts();
  pass.batch_size = 1;
  pass.on_progress = [&](double) {
    if (++micro_batches == 3) stop.request_stop();
  };
  EXPECT_EQ(model->Run(pass, stop.get_token()).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(micro_batches, 3);
}

TEST_F(LayerPassTest, ProgressRisesToOneInOneStepAMicroBatch) {
  const std::unique_ptr<Model> model = test_model_.Load();
  std::vector<double> shares;
  Pass pass = AllPrompts();
  pass.batch_size = 3;
  pass.on_progress = [&](double share) { shares.push_back(share); };
  ASSERT_TRUE(model->Run(pass, {}).ok());
  ASSERT_EQ(shares.size(), 9u);  // 3 layers of 3 micro-batches
  EXPECT_GT(shares.front(), 0);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_DOUBLE_EQ(shares.back(), 1);
}

TEST_F(LayerPassTest, ErrorsOfSinksEndThePassAndComeBack) {
  const std::unique_ptr<Model> model = test_model_.Load();
  int calls = 0;
  Pass pass = AllPrompts();
  pass.on_layer = [&](const LayerReadout& readout) {
    ++calls;
    return readout.layer == 1 ? absl::DataLossError("sink") : absl::OkStatus();
  };
  EXPECT_EQ(model->Run(pass, {}), absl::DataLossError("sink"));
  EXPECT_EQ(calls, 2);

  pass = AllPrompts();
  pass.on_residual = [](const ResidualStream&) { return absl::AbortedError("residual sink"); };
  EXPECT_EQ(model->Run(pass, {}), absl::AbortedError("residual sink"));
}

TEST_F(LayerPassTest, SinksThatThrowDoNotEscapeTheRoom) {
  const std::unique_ptr<Model> model = test_model_.Load();
  Pass pass = AllPrompts();
  pass.on_layer = [](const LayerReadout&) -> absl::Status { throw std::runtime_error("boom"); };
  EXPECT_EQ(model->Run(pass, {}).code(), absl::StatusCode::kInternal);
}

TEST_F(LayerPassTest, PromptsWithoutTargetsGiveZeros) {
  const std::unique_ptr<Model> model = test_model_.Load();
  Pass pass = AllPrompts();
  for (PassPrompt& prompt : pass.prompts) prompt.targets = {};
  for (const double sum : Sums(*model, pass)) EXPECT_EQ(sum, 0);
}

}  // namespace
}  // namespace induct::engine
