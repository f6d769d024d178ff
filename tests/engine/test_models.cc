#include "tests/engine/test_models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace induct::engine {
namespace {

NormTensors NormNames(const std::string& module, int64_t width) {
  return {.weight = {module + ".weight", {width}}, .bias = TensorSpec{module + ".bias", {width}}};
}

LinearTensors LinearNames(const std::string& module, int64_t out, int64_t in) {
  return {.weight = {module + ".weight", {out, in}}, .bias = TensorSpec{module + ".bias", {out}}};
}

LayerTensors LayerNames(const DecoderSpec& sizes, int64_t layer) {
  const std::string prefix = absl::StrCat("gpt_neox.layers.", layer, ".");
  const int64_t d = sizes.d_model, f = sizes.d_mlp;
  LayerTensors names;
  names.attention_norm = NormNames(prefix + "input_layernorm", d);
  names.qkv = {LinearNames(prefix + "attention.query_key_value", 3 * d, d)};
  names.attention_output = LinearNames(prefix + "attention.dense", d, d);
  names.mlp_norm = NormNames(prefix + "post_attention_layernorm", d);
  names.mlp_input = LinearNames(prefix + "mlp.dense_h_to_4h", f, d);
  names.mlp_output = LinearNames(prefix + "mlp.dense_4h_to_h", d, f);
  return names;
}

StoredTensor RandomTensor(const TensorSpec& spec, std::mt19937& random) {
  const bool is_norm = spec.name.find("norm") != std::string::npos && spec.name.ends_with("weight");
  const bool is_vector = spec.shape.size() == 1;
  const float mean = is_norm ? 1.0f : 0.0f;
  const float deviation = is_vector ? 0.3f : 1.5f / std::sqrt(static_cast<float>(spec.shape[1]));
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(static_cast<size_t>(CountOf(spec)));
  for (float& value : values) value = normal(random);
  return {.shape = spec.shape,
          .bytes = std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float))};
}

}  // namespace

DecoderSpec WithTensorNames(DecoderSpec spec) {
  spec.architecture = "gpt_neox";
  spec.n_kv_heads = spec.n_heads;
  spec.token_embedding = {"gpt_neox.embed_in.weight", {spec.vocab_size, spec.d_model}};
  spec.layers.clear();
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) spec.layers.push_back(LayerNames(spec, layer));
  spec.final_norm = NormNames("gpt_neox.final_layer_norm", spec.d_model);
  spec.unembedding = {"embed_out.weight", {spec.vocab_size, spec.d_model}};
  return spec;
}

DecoderSpec SpecOfConfig(const std::string& path) {
  std::ifstream file(path);
  const nlohmann::json config = nlohmann::json::parse(file);
  DecoderSpec spec;
  spec.n_layers = config.at("num_hidden_layers");
  spec.n_heads = config.at("num_attention_heads");
  spec.d_model = config.at("hidden_size");
  spec.d_head = spec.d_model / spec.n_heads;
  spec.d_mlp = config.at("intermediate_size");
  spec.vocab_size = config.at("vocab_size");
  spec.max_positions = config.at("max_position_embeddings");
  spec.rotary_dims =
      static_cast<int64_t>(static_cast<double>(spec.d_head) * config.at("rotary_pct").get<double>());
  spec.rotary_base = config.at("rotary_emb_base");
  spec.norm_epsilon = config.at("layer_norm_eps");
  spec.parallel_residual = config.at("use_parallel_residual");
  spec.activation = config.at("hidden_act") == "gelu" ? Activation::kGeluExact : Activation::kGeluTanh;
  return WithTensorNames(spec);
}

absl::StatusOr<TensorSource::Info> MemoryTensorSource::Describe(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return absl::NotFoundError(name);
  return Info{.dtype = found->second.dtype, .shape = found->second.shape};
}

absl::Status MemoryTensorSource::Read(const std::string& name, uint64_t offset,
                                      std::span<std::byte> out) const {
  if (before_read) {
    if (absl::Status status = before_read(name); !status.ok()) return status;
  }
  const StoredTensor& tensor = tensors_.at(name);
  if (offset + out.size() > tensor.bytes.size()) return absl::InternalError("size of " + name);
  std::memcpy(out.data(), tensor.bytes.data() + offset, out.size());
  bytes_read_[name] += out.size();
  return absl::OkStatus();
}

std::map<std::string, int> MemoryTensorSource::reads() const {
  std::map<std::string, int> reads;
  for (const auto& [name, bytes] : bytes_read_) {
    const size_t size = tensors_.at(name).bytes.size();
    EXPECT_EQ(bytes % size, 0u) << name << " was read in part";
    reads[name] = static_cast<int>(bytes / size);
  }
  return reads;
}

std::unique_ptr<Model> TestModel::Load(const LoadOptions& options) const {
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(spec, source, options, {});
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

TestModel GoldenModel(const std::string& name) {
  const std::string folder = absl::StrCat(INDUCT_SOURCE_DIR, "/tests/golden/models/", name);
  return {.spec = SpecOfConfig(folder + "/config.json"),
          .source = std::make_shared<MemoryTensorSource>(ReadSafetensors(folder + "/model.safetensors"))};
}

TestModel RandomModel(const DecoderSpec& sizes, uint32_t seed) {
  const DecoderSpec spec = WithTensorNames(sizes);
  std::mt19937 random(seed);
  StoredTensors tensors;
  for (const TensorSpec* tensor : TensorsOf(spec)) tensors[tensor->name] = RandomTensor(*tensor, random);
  return {.spec = spec, .source = std::make_shared<MemoryTensorSource>(std::move(tensors))};
}

DecoderSpec SmallSizes() {
  DecoderSpec sizes;
  sizes.n_layers = 3;
  sizes.n_heads = 2;
  sizes.d_model = 16;
  sizes.d_head = 8;
  sizes.d_mlp = 40;
  sizes.vocab_size = 50;
  sizes.max_positions = 64;
  sizes.rotary_dims = 4;
  return sizes;
}

std::vector<PassPrompt> TestPrompts::View() const {
  std::vector<PassPrompt> view;
  for (size_t i = 0; i < tokens.size(); ++i) view.push_back({.tokens = tokens[i], .targets = targets[i]});
  return view;
}

TestPrompts RandomPrompts(const DecoderSpec& spec, const std::vector<int>& lengths, int n_targets,
                          int n_groups, uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](int64_t bound) {
    return static_cast<uint32_t>(random() % static_cast<uint64_t>(bound));
  };
  TestPrompts prompts;
  for (const int length : lengths) {
    std::vector<int32_t>& tokens = prompts.tokens.emplace_back();
    for (int t = 0; t < length; ++t) tokens.push_back(static_cast<int32_t>(below(spec.vocab_size)));
    std::vector<ReadoutTarget>& targets = prompts.targets.emplace_back();
    for (int i = 0; i < n_targets; ++i) {
      const uint32_t query = below(length);
      targets.push_back({.query = query,
                         .key = below(query + 1),
                         .group = below(n_groups),
                         .weight = 0.25f * static_cast<float>(1 + below(8))});
    }
  }
  return prompts;
}

}  // namespace induct::engine
