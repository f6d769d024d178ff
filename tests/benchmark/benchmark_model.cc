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
    for (const TensorSpec* tensor : TensorsOf(spec)) shapes_[tensor->name] = tensor->shape;
  }

  absl::StatusOr<Info> Describe(const std::string& name) const override {
    return Info{.dtype = DType::kFloat32, .shape = shapes_.at(name)};
  }

  absl::Status Read(const std::string&, uint64_t, std::span<std::byte> out) const override {
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
  spec.n_heads = spec.n_kv_heads = 12;
  spec.d_model = 768;
  spec.d_head = 64;
  spec.d_mlp = 3072;
  spec.vocab_size = 50304;
  spec.max_positions = 2048;
  spec.rotary_dims = 16;
  const int64_t d = spec.d_model, f = spec.d_mlp;
  const auto linear = [](const std::string& name, int64_t out, int64_t in) {
    return LinearTensors{.weight = {name, {out, in}}, .bias = TensorSpec{name + " bias", {out}}};
  };
  const NormTensors norm = {.weight = {"norm", {d}}, .bias = TensorSpec{"norm bias", {d}}};
  LayerTensors layer;
  layer.attention_norm = layer.mlp_norm = norm;
  layer.qkv = {linear("qkv", 3 * d, d)};
  layer.attention_output = linear("output", d, d);
  layer.mlp_input = linear("mlp input", f, d);
  layer.mlp_output = linear("mlp output", d, f);
  spec.token_embedding = spec.unembedding = {"embedding", {spec.vocab_size, d}};
  spec.final_norm = norm;
  spec.layers.assign(static_cast<size_t>(spec.n_layers), layer);
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
