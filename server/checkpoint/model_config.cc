#include "server/checkpoint/model_config.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/families/gpt_neox.h"

namespace induct::checkpoint {
namespace {

struct Family {
  const char* model_type;
  absl::StatusOr<DecoderSpec> (*parse)(const JsonFields& config);
};

constexpr Family kFamilies[] = {
    {"gpt_neox", &ParseGptNeox},
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

}  // namespace

absl::Status ReadSizes(const JsonFields& config, DecoderSpec& spec) {
  INDUCT_ASSIGN_OR_RETURN(spec.n_layers, config.Integer("num_hidden_layers", 1, kMaxLayers));
  INDUCT_ASSIGN_OR_RETURN(spec.n_heads, config.Integer("num_attention_heads", 1, kMaxWidth));
  INDUCT_ASSIGN_OR_RETURN(spec.d_model, config.Integer("hidden_size", 1, kMaxWidth));
  INDUCT_ASSIGN_OR_RETURN(spec.d_mlp, config.Integer("intermediate_size", 1, kMaxWidth));
  INDUCT_ASSIGN_OR_RETURN(spec.vocab_size, config.Integer("vocab_size", 1, kMaxVocabulary));
  INDUCT_ASSIGN_OR_RETURN(spec.max_positions, config.Integer("max_position_embeddings", 1, kMaxPositions));
  INDUCT_ASSIGN_OR_RETURN(spec.bos_token_id, ReadBosTokenId(config, spec.vocab_size));
  if (spec.d_model % spec.n_heads != 0) {
    return BadCheckpoint(absl::StrCat(config.what(), ": num_attention_heads ", spec.n_heads,
                                      " does not divide hidden_size ", spec.d_model));
  }
  spec.d_head = spec.d_model / spec.n_heads;
  if (std::max({spec.vocab_size, 3 * spec.d_model, spec.d_mlp}) * spec.d_model > kMaxTensorSize) {
    return BadCheckpoint(absl::StrCat(config.what(), ": hidden_size ", spec.d_model, " with vocab_size ",
                                      spec.vocab_size, " and intermediate_size ", spec.d_mlp,
                                      " makes tensors of more than 2^40 numbers"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Activation> ReadActivation(const JsonFields& config) {
  INDUCT_ASSIGN_OR_RETURN(const std::string name, config.Text("hidden_act"));
  if (name == "gelu" || name == "gelu_python") return Activation::kGeluExact;
  // All of them are GELU's tanh approximation; they differ by rounding.
  for (const std::string_view tanh_name :
       {"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh"}) {
    if (name == tanh_name) return Activation::kGeluTanh;
  }
  return UnsupportedModel(
      absl::StrCat(config.what(), ": hidden_act ", Quoted(name),
                   " is not supported; gelu, gelu_new, gelu_fast and gelu_pytorch_tanh are"));
}

absl::StatusOr<DecoderSpec> ParseConfig(std::string_view text) {
  INDUCT_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(text, "config.json"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields config, JsonFields::Of(document, "config.json"));
  if (config.Find("quantization_config") != nullptr) {
    return UnsupportedModel(
        "config.json: quantization_config is set, but quantised weights are not supported");
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string model_type, config.Text("model_type"));
  for (const Family& family : kFamilies) {
    if (model_type != family.model_type) continue;
    INDUCT_ASSIGN_OR_RETURN(DecoderSpec spec, family.parse(config));
    spec.architecture = model_type;
    return spec;
  }
  return UnsupportedModel(absl::StrCat("config.json: model_type ", Quoted(model_type),
                                       " is not supported; induct knows ", KnownFamilies()));
}

}  // namespace induct::checkpoint
