// The engine, on configurations read by server/checkpoint, against what Hugging Face transformers computed
// (tests/golden/make_golden.py). INDUCT_GOLDEN_MODELS may name a folder of more such models, as
// tests/golden/peer_test.py makes them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kPrompts = 4;

constexpr double kFloat32Error = 1e-4;
constexpr double kSixteenBitError = 2e-2;

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  const TestModel model_ = ModelInFolder(GetParam());
  const StoredTensors golden_ = ReadSafetensors(GetParam() + "/golden.safetensors");

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

  // Distance from the recorded embeddings and outputs of layers of all prompts.
  struct StreamError {
    double largest = 0;           // of any value, in units of the value where that is above 1
    double root_mean_square = 0;  // over a prompt's stream after a layer, in units of the stream's; the worst
  };

  StreamError ResidualError(Model& model) const {
    std::vector<std::vector<int32_t>> tokens;
    Pass pass;
    for (int prompt = 0; prompt < kPrompts; ++prompt) tokens.push_back(Tokens(prompt));
    for (const std::vector<int32_t>& row : tokens) pass.prompts.push_back({.tokens = row});
    const absl::StatusOr<ResidualStreams> streams = CollectResiduals(model, pass);
    EXPECT_TRUE(streams.ok()) << streams.status();
    EXPECT_EQ(streams->size(), kPrompts * static_cast<size_t>(model_.spec.n_layers + 1));
    StreamError error;
    for (const auto& [key, values] : *streams) {
      const auto [layer, prompt] = key;
      const std::vector<float> recorded = golden_.at(absl::StrCat("residual.", prompt)).As<float>();
      double differences = 0, squares = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        const double expected = recorded[static_cast<size_t>(layer) * values.size() + i];
        const double difference = std::abs(values[i] - expected);
        error.largest = std::max(error.largest, difference / std::max(1.0, std::abs(expected)));
        differences += difference * difference;
        squares += expected * expected;
      }
      error.root_mean_square = std::max(error.root_mean_square, std::sqrt(differences / squares));
    }
    return error;
  }

  // What was recorded of one position's logits.
  struct Logits {
    double log_sum_exp = 0;
    double of_next = 0;
    double largest = 0;
  };

  Logits LogitsAt(int64_t variant, int64_t prompt, size_t position, int32_t next) const {
    const std::vector<float> logits =
        golden_.at(absl::StrCat(variant == 0 ? "logits." : "ablated_logits.", prompt)).As<float>();
    const std::span<const float> row = std::span(logits).subspan(
        position * static_cast<size_t>(model_.spec.vocab_size), static_cast<size_t>(model_.spec.vocab_size));
    double total = 0;
    for (const float logit : row) total += std::exp(static_cast<double>(logit));
    return {.log_sum_exp = std::log(total),
            .of_next = row[static_cast<size_t>(next)],
            .largest = *std::max_element(row.begin(), row.end())};
  }
};

TEST_P(GoldenTest, WholePatternsMatch) {
  const std::unique_ptr<Model> model = model_.Load();
  double error = 0;
  for (int prompt = 0; prompt < kPrompts; ++prompt) {
    const auto last = static_cast<uint32_t>(Tokens(prompt).size() - 1);
    error = std::max(error, AttentionError(*model, prompt, 0, last));
  }
  RecordProperty("error", absl::StrCat(error));
  EXPECT_LT(error, kFloat32Error);
}

// One row at a time asks for few probabilities, so those of the long prompts come by the log-sum-exp.
TEST_P(GoldenTest, SingleRowsMatch) {
  const std::unique_ptr<Model> model = model_.Load();
  double error = 0;
  for (int prompt = 0; prompt < kPrompts; ++prompt) {
    for (uint32_t query = 0; query < Tokens(prompt).size(); ++query) {
      error = std::max(error, AttentionError(*model, prompt, query, query));
    }
  }
  RecordProperty("error", absl::StrCat(error));
  EXPECT_LT(error, kFloat32Error);
}

TEST_P(GoldenTest, SixteenBitPatternsStayNear) {
  double error = 0;
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    const std::unique_ptr<Model> model = model_.Load({.dtype = dtype});
    for (int prompt = 0; prompt < kPrompts; ++prompt) {
      const auto last = static_cast<uint32_t>(Tokens(prompt).size() - 1);
      error = std::max(error, AttentionError(*model, prompt, 0, last));
      error = std::max(error, AttentionError(*model, prompt, last, last));
    }
  }
  RecordProperty("error", absl::StrCat(error));
  EXPECT_LT(error, kSixteenBitError);
}

TEST_P(GoldenTest, EmbeddingAndEveryLayersOutputMatch) {
  const double error = ResidualError(*model_.Load()).largest;
  RecordProperty("error", absl::StrCat(error));
  EXPECT_LT(error, kFloat32Error);
}

TEST_P(GoldenTest, SixteenBitEmbeddingsAndOutputsStayNear) {
  double error = 0;
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    error = std::max(error, ResidualError(*model_.Load({.dtype = dtype})).root_mean_square);
  }
  RecordProperty("error", absl::StrCat(error));
  EXPECT_LT(error, kSixteenBitError);
}

TEST_P(GoldenTest, PredictionsMatchTheLogitsAlsoWithAHeadAblated) {
  std::vector<std::vector<int32_t>> tokens;
  AblationPass pass;
  pass.variants = {{}, {{.layer = 1, .head = 1}}};  // as make_golden.py ablates
  for (int prompt = 0; prompt < kPrompts; ++prompt) tokens.push_back(Tokens(prompt));
  for (const std::vector<int32_t>& row : tokens) pass.prompts.emplace_back(row);

  const absl::StatusOr<Predictions> predictions = CollectPredictions(*model_.Load(), pass);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  double error = 0;
  for (const auto& [key, values] : *predictions) {
    const auto [variant, prompt] = key;
    const std::vector<int32_t>& row = tokens[static_cast<size_t>(prompt)];
    ASSERT_EQ(values.size(), row.size() - 1);
    for (size_t t = 0; t < values.size(); ++t) {
      const Logits logits = LogitsAt(variant, prompt, t, row[t + 1]);
      error = std::max(error, std::abs(values[t].nll - (logits.log_sum_exp - logits.of_next)));
      EXPECT_EQ(values[t].correct, logits.of_next == logits.largest);
    }
  }
  RecordProperty("error", absl::StrCat(error));
  EXPECT_LT(error, kFloat32Error);
}

std::vector<std::string> Models() {
  std::vector<std::string> folders;
  for (const char* name : {"parallel", "sequential", "half_rotary", "gpt2", "llama_scaled", "llama_biased",
                           "mistral", "qwen2", "qwen3"}) {
    folders.push_back(absl::StrCat(INDUCT_SOURCE_DIR, "/tests/golden/models/", name));
  }
  if (const char* more = std::getenv("INDUCT_GOLDEN_MODELS")) {
    for (const fs::directory_entry& entry : fs::directory_iterator(more)) {
      folders.push_back(entry.path().string());
    }
  }
  return folders;
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, testing::ValuesIn(Models()),
                         [](const auto& info) { return fs::path(info.param).filename().string(); });

}  // namespace
}  // namespace induct::engine
