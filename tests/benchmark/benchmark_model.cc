#include "tests/benchmark/benchmark_model.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>

namespace induct::engine {
namespace {

// Numbers between -0.03 and 0.03: a block of them, given out again and again, so that reading costs what a
// copy does.
class RandomSource : public TensorSource {
 public:
  RandomSource(const DecoderSpec& spec, DType dtype) : dtype_(dtype), block_(kBlockBytes) {
    for (const TensorSpec* tensor : TensorsOf(spec)) shapes_[tensor->name] = tensor->shape;
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-0.03f, 0.03f);
    const size_t width = DTypeBytes(dtype);
    for (size_t i = 0; i < block_.size(); i += width) {
      const float value = uniform(random);
      // The upper half of a float32 is a bfloat16.
      std::memcpy(block_.data() + i, reinterpret_cast<const std::byte*>(&value) + sizeof(value) - width,
                  width);
    }
  }

  absl::StatusOr<Info> Describe(const std::string& name) const override {
    return Info{.dtype = dtype_, .shape = shapes_.at(name)};
  }

  absl::Status Read(const std::string&, uint64_t, std::span<std::byte> out) const override {
    for (; !out.empty(); out = out.subspan(std::min(out.size(), block_.size()))) {
      std::memcpy(out.data(), block_.data(), std::min(out.size(), block_.size()));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr size_t kBlockBytes = size_t{4} << 20;
  const DType dtype_;
  std::vector<std::byte> block_;
  std::map<std::string, std::vector<int64_t>> shapes_;
};

struct NamedShape {
  const char* name;
  int64_t n_layers, n_heads, d_model;
};

constexpr NamedShape kShapes[] = {
    {"pythia-70m", 6, 8, 512},     {"pythia-160m", 12, 12, 768},  {"pythia-410m", 24, 16, 1024},
    {"pythia-1b", 16, 8, 2048},    {"pythia-1.4b", 24, 16, 2048}, {"pythia-2.8b", 32, 32, 2560},
    {"pythia-6.9b", 32, 32, 4096}, {"pythia-12b", 36, 40, 5120},
};

}  // namespace

DecoderSpec PythiaSpec(const Shape& shape) {
  DecoderSpec spec;
  spec.n_layers = shape.n_layers;
  spec.n_heads = spec.n_kv_heads = shape.n_heads;
  spec.d_model = shape.d_model;
  spec.d_head = shape.d_head;
  spec.d_mlp = shape.d_mlp;
  spec.vocab_size = 50304;
  spec.max_positions = 2048;
  spec.rotary_dims = spec.d_head / 4;
  const int64_t d = spec.d_model, f = spec.d_mlp, z = spec.n_heads * spec.d_head;
  const auto linear = [](const std::string& name, int64_t out, int64_t in) {
    return LinearTensors{.weight = {name, {out, in}}, .bias = TensorSpec{name + " bias", {out}}};
  };
  const NormTensors norm = {.weight = {"norm", {d}}, .bias = TensorSpec{"norm bias", {d}}};
  LayerTensors layer;
  layer.attention_norm = layer.mlp_norm = norm;
  layer.qkv = {linear("qkv", 3 * z, d)};
  layer.attention_output = linear("output", d, z);
  layer.mlp_input = linear("mlp input", f, d);
  layer.mlp_output = linear("mlp output", d, f);
  spec.token_embedding = spec.unembedding = {"embedding", {spec.vocab_size, d}};
  spec.final_norm = norm;
  spec.layers.assign(static_cast<size_t>(spec.n_layers), layer);
  return spec;
}

DecoderSpec PythiaShape(const std::string& name) {
  for (const NamedShape& shape : kShapes) {
    if (name != shape.name) continue;
    return PythiaSpec({.n_layers = shape.n_layers,
                       .n_heads = shape.n_heads,
                       .d_model = shape.d_model,
                       .d_head = shape.d_model / shape.n_heads,
                       .d_mlp = 4 * shape.d_model});
  }
  std::fprintf(stderr, "no shape '%s'; there are", name.c_str());
  for (const NamedShape& shape : kShapes) std::fprintf(stderr, " %s", shape.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

RepeatedPrompt::RepeatedPrompt(int64_t length, int64_t vocab_size, std::mt19937& random) {
  const int64_t lag = length / 2;
  for (int64_t t = 0; t < length; ++t) {
    tokens.push_back(t < lag ? static_cast<int32_t>(random() % static_cast<uint64_t>(vocab_size))
                             : tokens[t - lag]);
  }
  for (uint32_t t = 1; t < static_cast<uint32_t>(length); ++t) {
    if (t < lag) {
      targets.push_back({.query = t, .key = t - 1, .group = 2});
    } else {
      const auto antecedent = static_cast<uint32_t>(t - lag);
      targets.push_back({.query = t, .key = antecedent + 1, .group = 0});
      targets.push_back({.query = t, .key = antecedent, .group = 1});
    }
  }
}

Pass PassOver(const std::vector<RepeatedPrompt>& prompts) {
  Pass pass = {.n_groups = kScoreKinds};
  for (const RepeatedPrompt& prompt : prompts) pass.prompts.push_back({prompt.tokens, prompt.targets});
  pass.on_layer = [](const LayerReadout&) { return absl::OkStatus(); };
  return pass;
}

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}

std::shared_ptr<const TensorSource> RandomWeights(const DecoderSpec& spec, DType dtype) {
  return std::make_shared<RandomSource>(spec, dtype);
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
