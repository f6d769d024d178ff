#include "server/checkpoint/model_config.h"

#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/families/gpt2.h"
#include "server/checkpoint/families/gpt_neox.h"
#include "server/checkpoint/families/llama.h"
#include "server/checkpoint/families/qwen.h"

namespace induct::checkpoint {
namespace {

struct Family {
  const char* model_type;
  absl::StatusOr<DecoderSpec> (*parse)(const JsonFields& config);
};

constexpr Family kFamilies[] = {
    {"gpt_neox", &ParseGptNeox}, {"gpt2", &ParseGpt2},   {"llama", &ParseLlama},
    {"mistral", &ParseMistral},  {"qwen2", &ParseQwen2}, {"qwen3", &ParseQwen3},
};

std::string KnownFamilies() {
  return absl::StrJoin(kFamilies, ", ", [](std::string* out, const Family& family) {
    absl::StrAppend(out, family.model_type);
  });
}

// bos_token_id is a hint: an id that the vocabulary lacks names no token, as if it were not there.
absl::StatusOr<int64_t> ReadBosTokenId(const JsonFields& config, int64_t vocab_size) {
  INDUCT_ASSIGN_OR_RETURN(const int64_t id,
                          config.IntegerOr("bos_token_id", std::numeric_limits<int64_t>::min(),
                                           std::numeric_limits<int64_t>::max(), -1));
  return 0 <= id && id < vocab_size ? id : -1;
}

// A model that comes with code of its own computes what that code says, whatever its model_type.
absl::Status RefuseOwnCode(const JsonFields& config) {
  if (config.Find("auto_map") == nullptr) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(const JsonFields code, config.Object("auto_map"));
  for (const char* model : {"AutoModelForCausalLM", "AutoModel"}) {
    if (code.Find(model) == nullptr) continue;
    return UnsupportedModel(absl::StrCat(code.what(), ": ", model,
                                         " names code of the model's own, which induct never runs; it knows ",
                                         KnownFamilies()));
  }
  return absl::OkStatus();
}

// Settings under which transformers' model of any family computes something else.
absl::Status RefuseWhatNoFamilyHas(const JsonFields& config) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (config.Find(key) == nullptr) continue;
    return UnsupportedModel(absl::StrCat(config.what(), ": ", key,
                                         " is set, but quantised weights are not supported; weights in "
                                         "float32, float16 and bfloat16 are"));
  }
  if (config.Find("per_layer_config") != nullptr) {
    return UnsupportedModel(
        absl::StrCat(config.what(),
                     ": per_layer_config is set, but only models whose layers are all alike are supported"));
  }
  INDUCT_RETURN_IF_ERROR(RefuseFlagOtherThan(config, "is_causal", true));
  INDUCT_RETURN_IF_ERROR(RefuseFlagOtherThan(config, "is_encoder_decoder", false));
  INDUCT_RETURN_IF_ERROR(RefuseFlagOtherThan(config, "add_cross_attention", false));
  return RefuseOwnCode(config);
}

absl::Status CheckTensorSizes(const JsonFields& config, const DecoderSpec& spec) {
  for (const TensorSpec* tensor : TensorsOf(spec)) {
    if (CountOf(*tensor) <= kMaxTensorSize) continue;
    return BadCheckpoint(absl::StrCat(config.what(), ": its sizes make ", tensor->name, " [",
                                      absl::StrJoin(tensor->shape, ", "),
                                      "] a tensor of more than 2^40 numbers"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadSizes(const JsonFields& config, const SizeKeys& keys, DecoderSpec& spec) {
  INDUCT_ASSIGN_OR_RETURN(spec.n_layers, config.Integer(keys.n_layers, 1, kMaxLayers));
  INDUCT_ASSIGN_OR_RETURN(spec.n_heads, config.Integer(keys.n_heads, 1, kMaxWidth));
  INDUCT_ASSIGN_OR_RETURN(spec.d_model, config.Integer(keys.d_model, 1, kMaxWidth));
  INDUCT_ASSIGN_OR_RETURN(spec.max_positions, config.Integer(keys.max_positions, 1, kMaxPositions));
  INDUCT_ASSIGN_OR_RETURN(spec.vocab_size, config.Integer("vocab_size", 1, kMaxVocabulary));
  INDUCT_ASSIGN_OR_RETURN(spec.bos_token_id, ReadBosTokenId(config, spec.vocab_size));
  spec.n_kv_heads = spec.n_heads;
  return absl::OkStatus();
}

absl::Status DivideIntoHeads(const JsonFields& config, const SizeKeys& keys, DecoderSpec& spec) {
  if (spec.d_model % spec.n_heads != 0) {
    return BadCheckpoint(absl::StrCat(config.what(), ": ", keys.n_heads, " ", spec.n_heads,
                                      " does not divide ", keys.d_model, " ", spec.d_model));
  }
  spec.d_head = spec.d_model / spec.n_heads;
  return absl::OkStatus();
}

absl::StatusOr<Activation> ReadActivation(const JsonFields& config, const char* key, const char* fallback) {
  INDUCT_ASSIGN_OR_RETURN(const std::string name, config.TextOr(key, fallback));
  for (const std::string_view exact : {"gelu", "gelu_python"}) {
    if (name == exact) return Activation::kGeluExact;
  }
  // All of them are GELU's tanh approximation; they differ by rounding.
  for (const std::string_view tanh :
       {"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"}) {
    if (name == tanh) return Activation::kGeluTanh;
  }
  for (const std::string_view silu : {"silu", "swish"}) {
    if (name == silu) return Activation::kSilu;
  }
  return UnsupportedModel(
      absl::StrCat(config.what(), ": ", key, " ", Quoted(name),
                   " is not supported; gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and silu are"));
}

absl::StatusOr<double> ReadNormEpsilon(const JsonFields& config, const char* key, double fallback) {
  INDUCT_ASSIGN_OR_RETURN(const double epsilon, config.NumberOr(key, fallback));
  if (!(epsilon > 0.0 && epsilon < 1.0)) return config.Wrong(key, "must lie between 0 and 1");
  return epsilon;
}

absl::Status RefuseFlagOtherThan(const JsonFields& config, const char* key, bool only) {
  INDUCT_ASSIGN_OR_RETURN(const bool value, config.FlagOr(key, only));
  if (value == only) return absl::OkStatus();
  const auto word = [](bool flag) { return flag ? "true" : "false"; };
  return UnsupportedModel(
      absl::StrCat(config.what(), ": ", key, " ", word(value), " is not supported; ", word(only), " is"));
}

absl::StatusOr<DecoderSpec> ParseConfig(std::string_view text) {
  INDUCT_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(text, "config.json"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields config, JsonFields::Of(document, "config.json"));
  INDUCT_RETURN_IF_ERROR(RefuseWhatNoFamilyHas(config));
  INDUCT_ASSIGN_OR_RETURN(const std::string model_type, config.Text("model_type"));
  for (const Family& family : kFamilies) {
    if (model_type != family.model_type) continue;
    INDUCT_ASSIGN_OR_RETURN(DecoderSpec spec, family.parse(config));
    INDUCT_RETURN_IF_ERROR(CheckTensorSizes(config, spec));
    spec.architecture = model_type;
    return spec;
  }
  return UnsupportedModel(absl::StrCat("config.json: model_type ", Quoted(model_type),
                                       " is not supported; induct knows ", KnownFamilies()));
}

}  // namespace induct::checkpoint
