#include "server/checkpoint/families/gpt2.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/model_config.h"
#include "server/checkpoint/tensor_names.h"

namespace induct::checkpoint {
namespace {

constexpr SizeKeys kSizeKeys = {
    .n_layers = "n_layer", .n_heads = "n_head", .d_model = "n_embd", .max_positions = "n_positions"};

LayerTensors NameGpt2Layer(int64_t layer, const DecoderSpec& spec) {
  const std::string prefix = absl::StrCat("transformer.h.", layer, ".");
  const int64_t d = spec.d_model;
  const int64_t f = spec.d_mlp;
  LayerTensors names;
  names.attention_norm = NameLayerNorm(prefix + "ln_1", d);
  names.qkv = {NameConv1d(prefix + "attn.c_attn", d, 3 * d)};
  names.attention_output = NameConv1d(prefix + "attn.c_proj", d, d);
  names.mlp_norm = NameLayerNorm(prefix + "ln_2", d);
  names.mlp_input = NameConv1d(prefix + "mlp.c_fc", d, f);
  names.mlp_output = NameConv1d(prefix + "mlp.c_proj", f, d);
  return names;
}

void NameGpt2Tensors(bool tied, DecoderSpec& spec) {
  const int64_t d = spec.d_model;
  NameEmbeddings("transformer.wte", "lm_head", tied, spec);
  spec.position_embedding = TensorSpec{"transformer.wpe.weight", {spec.max_positions, d}};
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) spec.layers.push_back(NameGpt2Layer(layer, spec));
  spec.final_norm = NameLayerNorm("transformer.ln_f", d);
}

// reorder_and_upcast_attn is not among them: it scales the same scores at another moment and takes their
// softmax in float32, so that in exact arithmetic nothing changes.
absl::Status RefuseOtherScales(const JsonFields& config) {
  INDUCT_RETURN_IF_ERROR(RefuseFlagOtherThan(config, "scale_attn_weights", true));
  return RefuseFlagOtherThan(config, "scale_attn_by_inverse_layer_idx", false);
}

}  // namespace

absl::StatusOr<DecoderSpec> ParseGpt2(const JsonFields& config) {
  DecoderSpec spec;
  spec.qkv_layout = QkvLayout::kFusedByPart;
  spec.linear_weights_transposed = true;
  spec.norm = NormKind::kLayerNorm;
  spec.parallel_residual = false;
  INDUCT_RETURN_IF_ERROR(RefuseOtherScales(config));
  INDUCT_RETURN_IF_ERROR(ReadSizes(config, kSizeKeys, spec));
  INDUCT_RETURN_IF_ERROR(DivideIntoHeads(config, kSizeKeys, spec));
  INDUCT_ASSIGN_OR_RETURN(spec.d_mlp, config.IntegerOr("n_inner", 1, kMaxWidth, 4 * spec.d_model));
  INDUCT_ASSIGN_OR_RETURN(spec.activation, ReadActivation(config, "activation_function", "gelu_new"));
  INDUCT_ASSIGN_OR_RETURN(spec.norm_epsilon, ReadNormEpsilon(config, "layer_norm_epsilon", 1e-5));
  INDUCT_ASSIGN_OR_RETURN(const bool tied, config.FlagOr("tie_word_embeddings", true));
  NameGpt2Tensors(tied, spec);
  return spec;
}

}  // namespace induct::checkpoint
