// The engine against what Hugging Face transformers computed (tests/golden/make_golden.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

constexpr int kPrompts = 4;

class GoldenTest : public testing::TestWithParam<const char*> {
 protected:
  const TestModel model_ = GoldenModel(GetParam());
  const StoredTensors golden_ = ReadSafetensors(
      absl::StrCat(INDUCT_SOURCE_DIR, "/tests/golden/models/", GetParam(), "/golden.safetensors"));

  std::vector<int32_t> Tokens(int prompt) const {
    const std::vector<int64_t> ids = golden_.at(absl::StrCat("tokens.", prompt)).As<int64_t>();
    return std::vector<int32_t>(ids.begin(), ids.end());
  }

  // [L, H, T, T]
  std::vector<float> Attention(int prompt) const {
    return golden_.at(absl::StrCat("attention.", prompt)).As<float>();
  }

  // The greatest distance from the recorded attention of rows first_query .. last_query of one prompt, all
  // heads and layers. Each probability is a group of its own.
  double AttentionError(Model& model, int prompt, uint32_t first_query, uint32_t last_query) const {
    const std::vector<int32_t> tokens = Tokens(prompt);
    const size_t length = tokens.size();
    std::vector<ReadoutTarget> targets;
    for (uint32_t query = first_query; query <= last_query; ++query) {
      for (uint32_t key = 0; key <= query; ++key) {
        targets.push_back({.query = query, .key = key, .group = static_cast<uint32_t>(targets.size())});
      }
    }
    const absl::StatusOr<std::vector<double>> sums =
        CollectSums(model, {.prompts = {{.tokens = tokens, .targets = targets}},
                            .n_groups = static_cast<int64_t>(targets.size())});
    EXPECT_TRUE(sums.ok()) << sums.status();
    const std::vector<float> recorded = Attention(prompt);
    const size_t n_heads = static_cast<size_t>(model_.spec.n_heads);
    double error = 0;
    for (size_t i = 0; i < sums->size(); ++i) {
      const size_t head = i % n_heads, layer = i / n_heads / targets.size();
      const ReadoutTarget& target = targets[i / n_heads % targets.size()];
      const float expected =
          recorded[((layer * n_heads + head) * length + target.query) * length + target.key];
      error = std::max(error, std::abs((*sums)[i] - expected));
    }
    return error;
  }
};

TEST_P(GoldenTest, WholePatternsMatch) {
  const std::unique_ptr<Model> model = model_.Load();
  for (int prompt = 0; prompt < kPrompts; ++prompt) {
    const auto last = static_cast<uint32_t>(Tokens(prompt).size() - 1);
    EXPECT_LT(AttentionError(*model, prompt, 0, last), 1e-5) << "prompt " << prompt;
  }
}

// One row at a time asks for few probabilities, so those of the long prompts come by the log-sum-exp.
TEST_P(GoldenTest, SingleRowsMatch) {
  const std::unique_ptr<Model> model = model_.Load();
  for (int prompt = 0; prompt < kPrompts; ++prompt) {
    for (uint32_t query = 0; query < Tokens(prompt).size(); ++query) {
      EXPECT_LT(AttentionError(*model, prompt, query, query), 1e-5)
          << "prompt " << prompt << ", query " << query;
    }
  }
}

TEST_P(GoldenTest, SixteenBitFormatsStayNear) {
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    const std::unique_ptr<Model> model = model_.Load({.dtype = dtype});
    for (int prompt = 0; prompt < kPrompts; ++prompt) {
      const auto last = static_cast<uint32_t>(Tokens(prompt).size() - 1);
      EXPECT_LT(AttentionError(*model, prompt, 0, last), 2e-2) << DTypeName(dtype) << ", prompt " << prompt;
      EXPECT_LT(AttentionError(*model, prompt, last, last), 2e-2)
          << DTypeName(dtype) << ", prompt " << prompt;
    }
  }
}

TEST_P(GoldenTest, EmbeddingAndEveryLayersOutputMatch) {
  std::vector<std::vector<int32_t>> tokens;
  Pass pass;
  for (int prompt = 0; prompt < kPrompts; ++prompt) tokens.push_back(Tokens(prompt));
  for (const std::vector<int32_t>& row : tokens) pass.prompts.push_back({.tokens = row});

  const absl::StatusOr<ResidualStreams> streams = CollectResiduals(*model_.Load(), pass);
  ASSERT_TRUE(streams.ok()) << streams.status();
  ASSERT_EQ(streams->size(), kPrompts * static_cast<size_t>(model_.spec.n_layers + 1));
  for (const auto& [key, values] : *streams) {
    const auto [layer, prompt] = key;
    const std::vector<float> recorded = golden_.at(absl::StrCat("residual.", prompt)).As<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values[i], recorded[static_cast<size_t>(layer) * values.size() + i], 1e-4)
          << "layer " << layer << ", prompt " << prompt << ", value " << i;
    }
  }
}

TEST_P(GoldenTest, PredictionsMatchTheLogitsAlsoWithAHeadAblated) {
  std::vector<std::vector<int32_t>> tokens;
  AblationPass pass;
  pass.variants = {{}, {{.layer = 1, .head = 1}}};  // as make_golden.py ablates
  for (int prompt = 0; prompt < kPrompts; ++prompt) tokens.push_back(Tokens(prompt));
  for (const std::vector<int32_t>& row : tokens) pass.prompts.emplace_back(row);

  const absl::StatusOr<Predictions> predictions = CollectPredictions(*model_.Load(), pass);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  for (const auto& [key, values] : *predictions) {
    const auto [variant, prompt] = key;
    const std::vector<float> logits =
        golden_.at(absl::StrCat(variant == 0 ? "logits." : "ablated_logits.", prompt)).As<float>();
    const std::vector<int32_t>& row = tokens[prompt];
    ASSERT_EQ(values.size(), row.size() - 1);
    for (size_t t = 0; t < values.size(); ++t) {
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(t) * model_.spec.vocab_size;
      const std::span<const float> of_position(first, static_cast<size_t>(model_.spec.vocab_size));
      double total = 0;
      for (const float logit : of_position) total += std::exp(static_cast<double>(logit));
      const float of_next = of_position[row[t + 1]];
      ASSERT_NEAR(values[t].nll, std::log(total) - of_next, 1e-4)
          << "variant " << variant << ", prompt " << prompt << ", position " << t;
      EXPECT_EQ(values[t].correct, of_next == *std::max_element(of_position.begin(), of_position.end()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, testing::Values("parallel", "sequential", "half_rotary"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace induct::engine
