// What the bundled models promise: their induction heads are plain. Copy accuracy is computed here with plain
// loops from the engine's last residual stream, since a profile never makes logits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "server/analysis/profile.h"
#include "server/runs/prompt_source.h"

namespace induct::runs {
namespace {

struct Case {
  std::string model, task;
  uint32_t lag;
};

float HalfToFloat(uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
  return static_cast<float>(half & 0x8000 ? -value : value);
}

std::vector<float> ReadTensor(const models::ModelFiles& files, const std::string& name) {
  const auto* tensor = files.checkpoint().weights().Find(name).value();
  std::vector<uint16_t> stored(tensor->bytes / 2);
  EXPECT_EQ(tensor->dtype, DType::kFloat16);
  EXPECT_TRUE(files.checkpoint().weights().Read(*tensor, 0, std::as_writable_bytes(std::span(stored))).ok());
  std::vector<float> values;
  for (const uint16_t half : stored) values.push_back(HalfToFloat(half));
  return values;
}

// Final norm and unembedding of one position; the id with the highest logit.
class Unembedding {
 public:
  explicit Unembedding(const models::ModelFiles& files)
      : spec_(files.spec()),
        weight_(ReadTensor(files, spec_.final_norm.weight.name)),
        bias_(ReadTensor(files, spec_.final_norm.bias->name)),
        unembedding_(ReadTensor(files, spec_.unembedding.name)) {}

  int32_t Predict(std::span<const float> residual) const {
    double mean = 0, variance = 0;
    for (const float x : residual) mean += x / residual.size();
    for (const float x : residual) variance += (x - mean) * (x - mean) / residual.size();
    std::vector<double> normed(residual.size());
    for (size_t i = 0; i < residual.size(); ++i) {
      normed[i] = (residual[i] - mean) / std::sqrt(variance + spec_.norm_epsilon) * weight_[i] + bias_[i];
    }
    int32_t best = 0;
    double best_logit = -INFINITY;
    for (int32_t id = 0; id < spec_.vocab_size; ++id) {
      double logit = 0;
      for (size_t i = 0; i < normed.size(); ++i) logit += normed[i] * unembedding_[id * normed.size() + i];
      if (logit > best_logit) best = id, best_logit = logit;
    }
    return best;
  }

 private:
  const DecoderSpec& spec_;
  const std::vector<float> weight_, bias_, unembedding_;
};

// Positions t whose pair (x[t-1], x[t]) stands exactly once earlier.
std::vector<size_t> PredictablePositions(const analysis::Prompt& prompt) {
  std::vector<size_t> positions;
  const auto& x = prompt.tokens;
  for (size_t t = prompt.n_bos + 1; t < x.size(); ++t) {
    int earlier = 0;
    for (size_t s = prompt.n_bos + 1; s < t; ++s) earlier += x[s - 1] == x[t - 1] && x[s] == x[t];
    if (earlier == 1) positions.push_back(t);
  }
  return positions;
}

double CopyAccuracy(engine::Model& model, const models::ModelFiles& files,
                    std::span<const analysis::Prompt> prompts) {
  const Unembedding unembedding(files);
  size_t hits = 0, total = 0;
  engine::Pass pass;
  for (const analysis::Prompt& prompt : prompts) pass.prompts.push_back({.tokens = prompt.tokens});
  pass.on_layer = [](const engine::LayerReadout&) { return absl::OkStatus(); };
  pass.on_residual = [&](const engine::ResidualStream& stream) {
    if (stream.layer != files.spec().n_layers) return absl::OkStatus();
    const analysis::Prompt& prompt = prompts[stream.prompt];
    for (const size_t t : PredictablePositions(prompt)) {
      const size_t d = files.spec().d_model;
      hits += unembedding.Predict(stream.values.subspan((t - 1) * d, d)) == prompt.tokens[t];
      ++total;
    }
    return absl::OkStatus();
  };
  const absl::Status status = model.Run(pass, {});
  EXPECT_TRUE(status.ok()) << status;
  return static_cast<double>(hits) / static_cast<double>(total);
}

class DemoModels : public ::testing::TestWithParam<Case> {};

TEST_P(DemoModels, CopyWhatComesBack) {
  models::ModelRegistry registry({.model_dirs = {INDUCT_SOURCE_DIR "/deploy/demo_models"}});
  const auto files = registry.Open(GetParam().model).value();
  const auto model = registry.Load(files, {}, models::WhenFull::kWait, {}, {}).value();
  const PromptSet set =
      MakePrompts(
          {.task_types = {GetParam().task}, .lag_values = {GetParam().lag}, .n_sequences = 120, .seed = 7},
          files)
          .value();
  EXPECT_GT(CopyAccuracy(*model, *files, set.prompts), 0.9);
  if (GetParam().task != "RANDOM") return;
  const auto result = analysis::MeasureProfile(*model, set.prompts, {.bootstrap_resamples = 0}, {},
                                               [](const auto&) { return absl::OkStatus(); }, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->top_heads.front().score, 0.7);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* model : {"demo-small", "demo-large"}) {
    cases.push_back({model, "RANDOM", 50});
    for (const uint32_t lag : {4, 8, 16}) cases.push_back({model, "ABAB", lag});
    for (const uint32_t lag : {4, 8, 16, 32}) cases.push_back({model, "NAMES", lag});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, DemoModels, ::testing::ValuesIn(Cases()), [](const auto& info) {
  std::string name = info.param.model + "_" + info.param.task + "_" + std::to_string(info.param.lag);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Heads of trained models are sharp, so that roundings of the residual stream show in their scores.
TEST(DemoModelsTest, ScoresInSixteenBitFormatsStayNearFloat32) {
  models::ModelRegistry registry({.model_dirs = {INDUCT_SOURCE_DIR "/deploy/demo_models"}});
  for (const char* name : {"demo-small", "demo-large"}) {
    const auto files = registry.Open(name).value();
    const PromptSet set =
        MakePrompts(
            {.task_types = {"RANDOM", "ABAB", "NAMES"}, .lag_values = {8, 16}, .n_sequences = 60, .seed = 7},
            files)
            .value();
    const auto scores = [&](DType dtype) {
      const auto model = registry.Load(files, {.dtype = dtype}, models::WhenFull::kWait, {}, {}).value();
      return analysis::MeasureProfile(*model, set.prompts, {.bootstrap_resamples = 0}, {},
                                      [](const auto&) { return absl::OkStatus(); }, {})
          .value()
          .scores;
    };
    const std::vector<analysis::HeadScores> exact = scores(DType::kFloat32);
    for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
      const std::vector<analysis::HeadScores> rounded = scores(dtype);
      const double step = dtype == DType::kBFloat16 ? 0x1p-8 : 0x1p-11;
      for (size_t kind = 0; kind < exact.size(); ++kind) {
        for (size_t i = 0; i < exact[kind].values.size(); ++i) {
          const double expected = exact[kind].values[i];
          EXPECT_NEAR(rounded[kind].values[i], expected, 0.5 * step + 2 * step * expected)
              << name << ", " << DTypeName(dtype) << ", head " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace induct::runs
