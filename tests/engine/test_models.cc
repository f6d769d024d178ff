#include "tests/engine/test_models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "server/checkpoint/checkpoint.h"

namespace induct::engine {
namespace {

// The names of a model's tensors, as its sizes and options want them.
class TensorNames {
 public:
  TensorNames(const DecoderSpec& sizes, const TensorOptions& options) : sizes_(sizes), options_(options) {}

  NormTensors Norm(const std::string& module, int64_t width) const {
    NormTensors norm = {.weight = {module + ".weight", {width}}};
    if (options_.norm_biases) norm.bias = TensorSpec{module + ".bias", {width}};
    return norm;
  }

  LinearTensors Linear(const std::string& module, int64_t out, int64_t in, bool bias) const {
    LinearTensors linear = {.weight = {module + ".weight", {out, in}}};
    if (sizes_.linear_weights_transposed) std::swap(linear.weight.shape[0], linear.weight.shape[1]);
    if (bias) linear.bias = TensorSpec{module + ".bias", {out}};
    return linear;
  }

  std::vector<LinearTensors> Qkv(const std::string& prefix) const {
    const int64_t d = sizes_.d_model, queries = sizes_.n_heads * sizes_.d_head;
    const int64_t keys = sizes_.n_kv_heads * sizes_.d_head;
    const bool bias = options_.qkv_biases;
    if (sizes_.qkv_layout != QkvLayout::kSeparate) {
      return {Linear(prefix + "query_key_value", 3 * queries, d, bias)};
    }
    return {Linear(prefix + "query", queries, d, bias), Linear(prefix + "key", keys, d, bias),
            Linear(prefix + "value", keys, d, bias)};
  }

  LayerTensors Layer(int64_t layer) const {
    const std::string prefix = absl::StrCat("gpt_neox.layers.", layer, ".");
    const int64_t d = sizes_.d_model, f = sizes_.d_mlp, k = sizes_.d_head;
    const bool bias = options_.other_biases;
    LayerTensors names;
    names.attention_norm = Norm(prefix + "input_layernorm", d);
    names.qkv = Qkv(prefix + "attention.");
    if (options_.query_key_norms) {
      names.query_norm = Norm(prefix + "attention.query_norm", k);
      names.key_norm = Norm(prefix + "attention.key_norm", k);
    }
    names.attention_output = Linear(prefix + "attention.dense", d, sizes_.n_heads * k, bias);
    names.mlp_norm = Norm(prefix + "post_attention_layernorm", d);
    if (options_.gated_mlp) names.mlp_gate = Linear(prefix + "mlp.gate", f, d, bias);
    names.mlp_input = Linear(prefix + "mlp.dense_h_to_4h", f, d, bias);
    names.mlp_output = Linear(prefix + "mlp.dense_4h_to_h", d, f, bias);
    return names;
  }

 private:
  const DecoderSpec& sizes_;
  const TensorOptions& options_;
};

StoredTensor RandomTensor(const TensorSpec& spec, float gain, std::mt19937& random) {
  const bool is_norm = spec.name.find("norm") != std::string::npos && spec.name.ends_with("weight");
  const bool is_vector = spec.shape.size() == 1;
  const float mean = is_norm ? 1.0f : 0.0f;
  const float deviation = is_vector ? 0.3f : gain / std::sqrt(static_cast<float>(spec.shape[1]));
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(static_cast<size_t>(CountOf(spec)));
  for (float& value : values) value = normal(random);
  return {.shape = spec.shape,
          .bytes = std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float))};
}

}  // namespace

DecoderSpec WithTensorNames(DecoderSpec spec, const TensorOptions& options) {
  const TensorSpec table = {"gpt_neox.embed_in.weight", {spec.vocab_size, spec.d_model}};
  if (spec.n_kv_heads == 0) spec.n_kv_heads = spec.n_heads;
  const TensorNames names(spec, options);
  spec.architecture = "gpt_neox";
  spec.token_embedding = table;
  if (options.position_embedding) {
    spec.position_embedding = TensorSpec{"gpt_neox.positions.weight", {spec.max_positions, spec.d_model}};
  }
  spec.layers.clear();
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) spec.layers.push_back(names.Layer(layer));
  spec.final_norm = names.Norm("gpt_neox.final_layer_norm", spec.d_model);
  spec.unembedding = options.tied_head ? table : TensorSpec{"embed_out.weight", table.shape};
  return spec;
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
  const absl::MutexLock lock(&mutex_);
  bytes_read_[name] += out.size();
  return absl::OkStatus();
}

void MemoryTensorSource::ForgetReads() {
  const absl::MutexLock lock(&mutex_);
  bytes_read_.clear();
}

std::map<std::string, int> MemoryTensorSource::reads() const {
  const absl::MutexLock lock(&mutex_);
  std::map<std::string, int> reads;
  for (const auto& [name, bytes] : bytes_read_) {
    const size_t size = tensors_.at(name).bytes.size();
    EXPECT_EQ(bytes % size, 0u) << name << " was read in part";
    reads[name] = static_cast<int>(bytes / size);
  }
  return reads;
}

std::string TestDevice() {
  const char* const device = std::getenv("INDUCT_TEST_DEVICE");
  return device == nullptr ? "cpu" : device;
}

std::unique_ptr<Model> TestModel::Load(const LoadOptions& options) const {
  LoadOptions on_device = options;
  on_device.device = TestDevice();
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(spec, source, on_device, {});
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

TestModel ModelInFolder(const std::string& folder) {
  std::ifstream file(folder + "/config.json");
  std::ostringstream config;
  config << file.rdbuf();
  absl::StatusOr<DecoderSpec> spec = checkpoint::ParseConfig(config.str());
  EXPECT_TRUE(spec.ok()) << folder << ": " << spec.status();
  return {.spec = *std::move(spec),
          .source = std::make_shared<MemoryTensorSource>(ReadSafetensors(folder + "/model.safetensors"))};
}

TestModel RandomModel(const DecoderSpec& sizes, uint32_t seed) {
  return RandomWeightsFor(WithTensorNames(sizes), /*gain=*/1.5f, seed);
}

TestModel RandomWeightsFor(const DecoderSpec& spec, float gain, uint32_t seed) {
  std::mt19937 random(seed);
  StoredTensors tensors;
  for (const TensorSpec* tensor : TensorsOf(spec))
    tensors[tensor->name] = RandomTensor(*tensor, gain, random);
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

DecoderSpec RandomDecoder(uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](uint32_t bound) { return static_cast<int64_t>(random() % bound); };
  const auto one_in = [&](uint32_t n) { return below(n) == 0; };
  DecoderSpec sizes;
  sizes.n_layers = 1 + below(3);
  sizes.qkv_layout = static_cast<QkvLayout>(below(3));
  sizes.n_kv_heads = 1 + below(3);
  sizes.n_heads = sizes.n_kv_heads * (sizes.qkv_layout == QkvLayout::kSeparate ? 1 + below(3) : 1);
  // From 4 on: a layer norm of two numbers turns their rounding into a sign.
  sizes.d_head = 4 + below(13);
  sizes.d_model = one_in(2) ? sizes.n_heads * sizes.d_head : 4 + below(40);
  sizes.d_mlp = 1 + below(70);
  sizes.vocab_size = 2 + below(40);
  sizes.max_positions = 40;
  sizes.rotary_dims = 2 * below(static_cast<uint32_t>(sizes.d_head / 2 + 1));
  sizes.rotary_base = one_in(2) ? 10000 : 100;
  if (one_in(3)) {  // wavelengths from 6 on: some are kept, some slowed down, some between
    sizes.rotary_scaling = Llama3Scaling{.factor = 8, .high_frequency_factor = 4, .original_positions = 64};
  }
  sizes.norm = one_in(2) ? NormKind::kLayerNorm : NormKind::kRmsNorm;
  sizes.norm_epsilon = one_in(2) ? 1e-5 : 1e-2;
  sizes.parallel_residual = one_in(2);
  sizes.activation = static_cast<Activation>(below(3));
  sizes.linear_weights_transposed = one_in(3);
  return WithTensorNames(sizes, {.norm_biases = one_in(2),
                                 .qkv_biases = one_in(2),
                                 .other_biases = one_in(2),
                                 .query_key_norms = one_in(3),
                                 .gated_mlp = one_in(2),
                                 .position_embedding = one_in(3),
                                 .tied_head = one_in(3)});
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
