#include "server/checkpoint/families/gpt_neox.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/model_config.h"
#include "server/checkpoint/rotary_config.h"
#include "server/checkpoint/tensor_names.h"

namespace induct::checkpoint {
namespace {

constexpr RotaryKeys kRotaryKeys = {
    .base = "rotary_emb_base", .fraction = "rotary_pct", .default_fraction = 0.25};

LayerTensors NameNeoxLayer(int64_t layer, bool attention_bias, const DecoderSpec& spec) {
  const std::string prefix = absl::StrCat("gpt_neox.layers.", layer, ".");
  const int64_t d = spec.d_model;
  const int64_t f = spec.d_mlp;
  LayerTensors names;
  names.attention_norm = NameLayerNorm(prefix + "input_layernorm", d);
  names.qkv = {NameLinear(prefix + "attention.query_key_value", 3 * d, d, attention_bias)};
  names.attention_output = NameLinear(prefix + "attention.dense", d, d, attention_bias);
  names.mlp_norm = NameLayerNorm(prefix + "post_attention_layernorm", d);
  names.mlp_input = NameLinear(prefix + "mlp.dense_h_to_4h", f, d, true);
  names.mlp_output = NameLinear(prefix + "mlp.dense_4h_to_h", d, f, true);
  return names;
}

void NameNeoxTensors(bool attention_bias, bool tied, DecoderSpec& spec) {
  NameEmbeddings("gpt_neox.embed_in", "embed_out", tied, spec);
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    spec.layers.push_back(NameNeoxLayer(layer, attention_bias, spec));
  }
  spec.final_norm = NameLayerNorm("gpt_neox.final_layer_norm", spec.d_model);
}

}  // namespace

absl::StatusOr<DecoderSpec> ParseGptNeox(const JsonFields& config) {
  DecoderSpec spec;
  spec.qkv_layout = QkvLayout::kFusedByHead;
  spec.norm = NormKind::kLayerNorm;
  INDUCT_RETURN_IF_ERROR(ReadSizes(config, {}, spec));
  INDUCT_RETURN_IF_ERROR(DivideIntoHeads(config, {}, spec));
  INDUCT_ASSIGN_OR_RETURN(spec.d_mlp, config.Integer("intermediate_size", 1, kMaxWidth));
  INDUCT_RETURN_IF_ERROR(ReadRotary(config, kRotaryKeys, spec));
  INDUCT_ASSIGN_OR_RETURN(spec.activation, ReadActivation(config, "hidden_act", "gelu"));
  INDUCT_ASSIGN_OR_RETURN(spec.norm_epsilon, ReadNormEpsilon(config, "layer_norm_eps", 1e-5));
  INDUCT_ASSIGN_OR_RETURN(spec.parallel_residual, config.FlagOr("use_parallel_residual", true));
  INDUCT_ASSIGN_OR_RETURN(const bool attention_bias, config.FlagOr("attention_bias", true));
  INDUCT_ASSIGN_OR_RETURN(const bool tied, config.FlagOr("tie_word_embeddings", false));
  NameNeoxTensors(attention_bias, tied, spec);
  return spec;
}

}  // namespace induct::checkpoint
