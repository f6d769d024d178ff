#include "tests/benchmark/benchmark_model.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <random>
#include <string>

namespace induct::engine {
namespace {

class RandomSource : public TensorSource {
 public:
  explicit RandomSource(const DecoderSpec& spec) {
    const LayerTensors& layer = spec.layers.front();
    for (const TensorSpec* tensor : {&spec.token_embedding, &spec.final_norm_weight, &layer.qkv_weight,
                                     &layer.qkv_bias, &layer.attention_output_weight, &layer.mlp_input_weight,
                                     &layer.mlp_input_bias, &layer.mlp_output_weight}) {
      shapes_[tensor->name] = tensor->shape;
    }
  }

  absl::StatusOr<Info> Describe(const std::string& name) const override {
    return Info{.dtype = DType::kFloat32, .shape = shapes_.at(name)};
  }

  absl::Status Read(const std::string&, std::span<std::byte> out) const override {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-0.03f, 0.03f);
    for (size_t i = 0; i < out.size(); i += sizeof(float)) {
      const float value = uniform(random);
      std::memcpy(out.data() + i, &value, sizeof(float));
    }
    return absl::OkStatus();
  }

 private:
  std::map<std::string, std::vector<int64_t>> shapes_;
};

}  // namespace

DecoderSpec Pythia160m() {
  DecoderSpec spec;
  spec.n_layers = 12;
  spec.n_heads = 12;
  spec.d_model = 768;
  spec.d_head = 64;
  spec.d_mlp = 3072;
  spec.vocab_size = 50304;
  spec.max_positions = 2048;
  spec.rotary_dims = 16;
  const int64_t d = spec.d_model, f = spec.d_mlp;
  spec.token_embedding = {"embedding", {spec.vocab_size, d}};
  spec.final_norm_weight = spec.final_norm_bias = {"vector", {d}};
  spec.unembedding = spec.token_embedding;
  const TensorSpec vector = {"vector", {d}};
  spec.layers.assign(static_cast<size_t>(spec.n_layers), {.attention_norm_weight = vector,
                                                          .attention_norm_bias = vector,
                                                          .qkv_weight = {"qkv", {3 * d, d}},
                                                          .qkv_bias = {"qkv bias", {3 * d}},
                                                          .attention_output_weight = {"output", {d, d}},
                                                          .attention_output_bias = vector,
                                                          .mlp_norm_weight = vector,
                                                          .mlp_norm_bias = vector,
                                                          .mlp_input_weight = {"mlp input", {f, d}},
                                                          .mlp_input_bias = {"mlp input bias", {f}},
                                                          .mlp_output_weight = {"mlp output", {d, f}},
                                                          .mlp_output_bias = vector});
  return spec;
}

std::shared_ptr<const TensorSource> RandomWeights(const DecoderSpec& spec) {
  return std::make_shared<RandomSource>(spec);
}

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace induct::engine
