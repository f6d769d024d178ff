#include "server/checkpoint/families/gpt_neox.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/model_config.h"

namespace induct::checkpoint {
namespace {

// What transformers assumes where neither spelling names them.
constexpr double kDefaultRotaryFraction = 0.25;
constexpr double kDefaultRotaryBase = 10000.0;

absl::Status CheckRopeType(const JsonFields& rope) {
  for (const char* key : {"rope_type", "type"}) {
    INDUCT_ASSIGN_OR_RETURN(const std::string type, rope.TextOr(key, "default"));
    if (type != "default") {
      return UnsupportedModel(
          absl::StrCat(rope.what(), ": ", key, " ", Quoted(type), " is not supported; default is"));
    }
  }
  return absl::OkStatus();
}

// Rotary embedding as transformers 5 writes it (rope_parameters) or as older releases did (rotary_pct,
// rotary_emb_base).
absl::Status ReadRotary(const JsonFields& config, DecoderSpec& spec) {
  INDUCT_ASSIGN_OR_RETURN(double fraction, config.NumberOr("rotary_pct", kDefaultRotaryFraction));
  INDUCT_ASSIGN_OR_RETURN(spec.rotary_base, config.NumberOr("rotary_emb_base", kDefaultRotaryBase));
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (config.Find(key) == nullptr) continue;
    INDUCT_ASSIGN_OR_RETURN(const JsonFields rope, config.Object(key));
    INDUCT_RETURN_IF_ERROR(CheckRopeType(rope));
    INDUCT_ASSIGN_OR_RETURN(fraction, rope.NumberOr("partial_rotary_factor", fraction));
    INDUCT_ASSIGN_OR_RETURN(spec.rotary_base, rope.NumberOr("rope_theta", spec.rotary_base));
  }
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    return BadCheckpoint(absl::StrCat(
        config.what(),
        ": the rotary fraction (rotary_pct or partial_rotary_factor) must be from 0 to 1, not ", fraction));
  }
  if (!(spec.rotary_base > 0.0)) {
    return BadCheckpoint(absl::StrCat(
        config.what(), ": the rotary base (rotary_emb_base or rope_theta) must be positive, not ",
        spec.rotary_base));
  }
  spec.rotary_dims = static_cast<int64_t>(static_cast<double>(spec.d_head) * fraction);
  if (spec.rotary_dims % 2 != 0) {
    return BadCheckpoint(absl::StrCat(config.what(), ": the rotary fraction ", fraction, " of a head of ",
                                      spec.d_head, " gives ", spec.rotary_dims,
                                      " rotary dimensions, which must be even"));
  }
  return absl::OkStatus();
}

NormTensors NameNorm(const std::string& module, int64_t width) {
  return {.weight = {module + ".weight", {width}}, .bias = TensorSpec{module + ".bias", {width}}};
}

LinearTensors NameLinear(const std::string& module, int64_t out, int64_t in) {
  return {.weight = {module + ".weight", {out, in}}, .bias = TensorSpec{module + ".bias", {out}}};
}

LayerTensors NameLayer(int64_t layer, const DecoderSpec& spec) {
  const std::string prefix = absl::StrCat("gpt_neox.layers.", layer, ".");
  const int64_t d = spec.d_model;
  const int64_t f = spec.d_mlp;
  LayerTensors names;
  names.attention_norm = NameNorm(prefix + "input_layernorm", d);
  names.qkv = {NameLinear(prefix + "attention.query_key_value", 3 * d, d)};
  names.attention_output = NameLinear(prefix + "attention.dense", d, d);
  names.mlp_norm = NameNorm(prefix + "post_attention_layernorm", d);
  names.mlp_input = NameLinear(prefix + "mlp.dense_h_to_4h", f, d);
  names.mlp_output = NameLinear(prefix + "mlp.dense_4h_to_h", d, f);
  return names;
}

void NameTensors(bool tied, DecoderSpec& spec) {
  const int64_t d = spec.d_model;
  spec.token_embedding = {"gpt_neox.embed_in.weight", {spec.vocab_size, d}};
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) spec.layers.push_back(NameLayer(layer, spec));
  spec.final_norm = NameNorm("gpt_neox.final_layer_norm", d);
  spec.unembedding = tied ? spec.token_embedding : TensorSpec{"embed_out.weight", {spec.vocab_size, d}};
}

}  // namespace

absl::StatusOr<DecoderSpec> ParseGptNeox(const JsonFields& config) {
  DecoderSpec spec;
  INDUCT_RETURN_IF_ERROR(ReadSizes(config, spec));
  spec.n_kv_heads = spec.n_heads;
  INDUCT_RETURN_IF_ERROR(ReadRotary(config, spec));
  INDUCT_ASSIGN_OR_RETURN(spec.activation, ReadActivation(config));
  INDUCT_ASSIGN_OR_RETURN(spec.norm_epsilon, config.NumberOr("layer_norm_eps", 1e-5));
  if (!(spec.norm_epsilon > 0.0 && spec.norm_epsilon < 1.0)) {
    return config.Wrong("layer_norm_eps", "must lie between 0 and 1");
  }
  INDUCT_ASSIGN_OR_RETURN(spec.parallel_residual, config.FlagOr("use_parallel_residual", true));
  INDUCT_ASSIGN_OR_RETURN(const bool attention_bias, config.FlagOr("attention_bias", true));
  if (!attention_bias)
    return UnsupportedModel("config.json: attention_bias false is not supported for gpt_neox");
  INDUCT_ASSIGN_OR_RETURN(const bool tied, config.FlagOr("tie_word_embeddings", false));
  NameTensors(tied, spec);
  return spec;
}

}  // namespace induct::checkpoint
