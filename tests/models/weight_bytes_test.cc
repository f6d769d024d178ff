#include "server/models/weight_bytes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <random>
#include <sstream>

#include "server/checkpoint/checkpoint.h"
#include "server/engine/engine.h"

namespace induct::models {
namespace {

// Tensors of zeros.
class ZeroSource : public engine::TensorSource {
 public:
  explicit ZeroSource(const DecoderSpec& spec) {
    for (const TensorSpec* tensor : TensorsOf(spec)) shapes_[tensor->name] = tensor->shape;
  }
  absl::StatusOr<Info> Describe(const std::string& name) const override {
    return Info{.dtype = DType::kFloat32, .shape = shapes_.at(name)};
  }
  absl::Status Read(const std::string&, uint64_t, std::span<std::byte> out) const override {
    std::fill(out.begin(), out.end(), std::byte(0));
    return absl::OkStatus();
  }

 private:
  std::map<std::string, std::vector<int64_t>> shapes_;
};

// The golden models of the families: learned positions, norms with and without biases, of queries and keys,
// tied heads.
class WeightBytesTest : public testing::TestWithParam<const char*> {
 protected:
  DecoderSpec Spec() const {
    std::ifstream file(std::string(INDUCT_SOURCE_DIR "/tests/golden/models/") + GetParam() + "/config.json");
    std::ostringstream text;
    text << file.rdbuf();
    return checkpoint::ParseConfig(text.str()).value();
  }
};

TEST_P(WeightBytesTest, AreWhatAModelTakesOnceItsOutputWeightsAreLoaded) {
  const DecoderSpec spec = Spec();
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    const auto model = engine::LoadModel(spec, std::make_shared<ZeroSource>(spec), {.dtype = dtype}, {});
    ASSERT_TRUE(model.ok()) << model.status();
    const std::vector<int32_t> tokens = {1, 2};
    const engine::AblationPass pass = {.prompts = {tokens},
                                       .variants = {{}},
                                       .on_predictions = [](const auto&) { return absl::OkStatus(); }};
    ASSERT_TRUE((*model)->RunVariants(pass, {}).ok());
    EXPECT_EQ(WeightBytesOf(spec, dtype).whole, (*model)->resident_bytes()) << DTypeName(dtype);
  }
}

TEST_P(WeightBytesTest, OfAStreamedModelTwoLayersCountOrTheUnembedding) {
  const DecoderSpec spec = Spec();
  const auto embeddings = [&](const TensorSpec& tensor) { return 2 * CountOf(tensor); };  // in bfloat16
  const bool tied = spec.unembedding.name == spec.token_embedding.name;
  const int64_t tables = embeddings(spec.token_embedding) + (tied ? 0 : embeddings(spec.unembedding));
  DecoderSpec two_layers = spec, no_layers = spec;
  two_layers.layers.resize(2);
  no_layers.layers.clear();
  const int64_t with_layers = WeightBytesOf(two_layers, DType::kBFloat16).whole - tables;
  const int64_t with_unembedding =
      WeightBytesOf(no_layers, DType::kBFloat16).whole - tables + embeddings(spec.unembedding);
  EXPECT_EQ(WeightBytesOf(spec, DType::kBFloat16).streamed, std::max(with_layers, with_unembedding));
}

INSTANTIATE_TEST_SUITE_P(Families, WeightBytesTest,
                         testing::Values("parallel", "gpt2", "llama_scaled", "qwen2", "qwen3"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace induct::models
