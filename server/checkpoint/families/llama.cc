#include "server/checkpoint/families/llama.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/model_config.h"
#include "server/checkpoint/rotary_config.h"
#include "server/checkpoint/tensor_names.h"

namespace induct::checkpoint {
namespace {

// Absent, num_key_value_heads has the family's default; null, as many as heads.
absl::Status ReadKvHeads(const JsonFields& config, int64_t fallback, DecoderSpec& spec) {
  constexpr char kKey[] = "num_key_value_heads";
  const bool absent = !config.Has(kKey);
  INDUCT_ASSIGN_OR_RETURN(
      spec.n_kv_heads,
      config.IntegerOr(kKey, 1, kMaxWidth, absent && fallback > 0 ? fallback : spec.n_heads));
  if (spec.n_heads % spec.n_kv_heads == 0) return absl::OkStatus();
  return BadCheckpoint(absl::StrCat(config.what(), ": ", kKey, " ", spec.n_kv_heads,
                                    " does not divide num_attention_heads ", spec.n_heads));
}

absl::Status ReadHeadSize(const JsonFields& config, int64_t fallback, DecoderSpec& spec) {
  if (config.Find("head_dim") == nullptr && fallback == 0) return DivideIntoHeads(config, {}, spec);
  INDUCT_ASSIGN_OR_RETURN(spec.d_head, config.IntegerOr("head_dim", 1, kMaxWidth, fallback));
  return absl::OkStatus();
}

// transformers' models of this plan rotate whole heads, whatever fraction their configuration names.
absl::Status ReadWholeHeadRotary(const JsonFields& config, DecoderSpec& spec) {
  INDUCT_RETURN_IF_ERROR(ReadRotary(config, {}, spec));
  if (spec.rotary_dims == spec.d_head) return absl::OkStatus();
  return UnsupportedModel(absl::StrCat(config.what(), ": a partial_rotary_factor other than 1 is not ",
                                       "supported for this model_type; for gpt_neox it is"));
}

LayerTensors NameLlamaLayer(int64_t layer, const LlamaChoices& choices, const DecoderSpec& spec) {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".");
  const int64_t d = spec.d_model;
  const int64_t f = spec.d_mlp;
  const int64_t queries = spec.n_heads * spec.d_head;
  const int64_t keys = spec.n_kv_heads * spec.d_head;
  LayerTensors names;
  names.attention_norm = NameRmsNorm(prefix + "input_layernorm", d);
  names.qkv = {NameLinear(prefix + "self_attn.q_proj", queries, d, choices.qkv_bias),
               NameLinear(prefix + "self_attn.k_proj", keys, d, choices.qkv_bias),
               NameLinear(prefix + "self_attn.v_proj", keys, d, choices.qkv_bias)};
  if (choices.query_key_norm) {
    names.query_norm = NameRmsNorm(prefix + "self_attn.q_norm", spec.d_head);
    names.key_norm = NameRmsNorm(prefix + "self_attn.k_norm", spec.d_head);
  }
  names.attention_output = NameLinear(prefix + "self_attn.o_proj", d, queries, choices.attention_output_bias);
  names.mlp_norm = NameRmsNorm(prefix + "post_attention_layernorm", d);
  names.mlp_gate = NameLinear(prefix + "mlp.gate_proj", f, d, choices.mlp_bias);
  names.mlp_input = NameLinear(prefix + "mlp.up_proj", f, d, choices.mlp_bias);
  names.mlp_output = NameLinear(prefix + "mlp.down_proj", d, f, choices.mlp_bias);
  return names;
}

void NameLlamaTensors(const LlamaChoices& choices, bool tied, DecoderSpec& spec) {
  NameEmbeddings("model.embed_tokens", "lm_head", tied, spec);
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    spec.layers.push_back(NameLlamaLayer(layer, choices, spec));
  }
  spec.final_norm = NameRmsNorm("model.norm", spec.d_model);
}

}  // namespace

absl::StatusOr<DecoderSpec> ParseLlamaPlan(const JsonFields& config, const LlamaChoices& choices) {
  DecoderSpec spec;
  spec.qkv_layout = QkvLayout::kSeparate;
  spec.norm = NormKind::kRmsNorm;
  spec.parallel_residual = false;
  INDUCT_RETURN_IF_ERROR(ReadSizes(config, {}, spec));
  INDUCT_RETURN_IF_ERROR(ReadKvHeads(config, choices.default_kv_heads, spec));
  INDUCT_RETURN_IF_ERROR(ReadHeadSize(config, choices.default_d_head, spec));
  INDUCT_ASSIGN_OR_RETURN(spec.d_mlp, config.Integer("intermediate_size", 1, kMaxWidth));
  INDUCT_RETURN_IF_ERROR(ReadWholeHeadRotary(config, spec));
  INDUCT_ASSIGN_OR_RETURN(spec.activation, ReadActivation(config, "hidden_act", "silu"));
  INDUCT_ASSIGN_OR_RETURN(spec.norm_epsilon, ReadNormEpsilon(config, "rms_norm_eps", 1e-6));
  INDUCT_ASSIGN_OR_RETURN(const bool tied, config.FlagOr("tie_word_embeddings", false));
  NameLlamaTensors(choices, tied, spec);
  return spec;
}

absl::StatusOr<DecoderSpec> ParseLlama(const JsonFields& config) {
  INDUCT_ASSIGN_OR_RETURN(const bool attention_bias, config.FlagOr("attention_bias", false));
  INDUCT_ASSIGN_OR_RETURN(const bool mlp_bias, config.FlagOr("mlp_bias", false));
  return ParseLlamaPlan(
      config, {.qkv_bias = attention_bias, .attention_output_bias = attention_bias, .mlp_bias = mlp_bias});
}

absl::StatusOr<DecoderSpec> ParseMistral(const JsonFields& config) {
  INDUCT_ASSIGN_OR_RETURN(DecoderSpec spec, ParseLlamaPlan(config, {.default_kv_heads = 8}));
  // Absent, the window is that of the first Mistral; null, there is none.
  const int64_t fallback = config.Has("sliding_window") ? 0 : 4096;
  INDUCT_ASSIGN_OR_RETURN(spec.sliding_window,
                          config.IntegerOr("sliding_window", 1, kMaxPositions, fallback));
  return spec;
}

}  // namespace induct::checkpoint
