#include "common/decoder_spec.h"

namespace induct {
namespace {

// Calls `visit` with each of the layer's tensors, constant or not as the layer is.
template <typename Layer, typename Visit>
void VisitLayer(Layer& layer, const Visit& visit) {
  const auto both = [&](auto& module) {
    visit(module.weight);
    if (module.bias) visit(*module.bias);
  };
  both(layer.attention_norm);
  for (auto& projection : layer.qkv) both(projection);
  if (layer.query_norm) both(*layer.query_norm);
  if (layer.key_norm) both(*layer.key_norm);
  both(layer.attention_output);
  both(layer.mlp_norm);
  if (layer.mlp_gate) both(*layer.mlp_gate);
  both(layer.mlp_input);
  both(layer.mlp_output);
}

// The same for a whole model; a tied unembedding is visited as well.
template <typename Spec, typename Visit>
void VisitSpec(Spec& spec, const Visit& visit) {
  visit(spec.token_embedding);
  if (spec.position_embedding) visit(*spec.position_embedding);
  for (auto& layer : spec.layers) VisitLayer(layer, visit);
  visit(spec.final_norm.weight);
  if (spec.final_norm.bias) visit(*spec.final_norm.bias);
  visit(spec.unembedding);
}

}  // namespace

std::vector<const TensorSpec*> TensorsOf(const DecoderSpec& spec) {
  std::vector<const TensorSpec*> tensors;
  VisitSpec(spec, [&](const TensorSpec& tensor) { tensors.push_back(&tensor); });
  if (spec.unembedding.name == spec.token_embedding.name) tensors.pop_back();
  return tensors;
}

std::vector<const TensorSpec*> TensorsOf(const LayerTensors& layer) {
  std::vector<const TensorSpec*> tensors;
  VisitLayer(layer, [&](const TensorSpec& tensor) { tensors.push_back(&tensor); });
  return tensors;
}

std::vector<TensorSpec*> TensorsOf(DecoderSpec& spec) {
  std::vector<TensorSpec*> tensors;
  VisitSpec(spec, [&](TensorSpec& tensor) { tensors.push_back(&tensor); });
  return tensors;
}

int64_t CountOf(const TensorSpec& tensor) {
  int64_t count = 1;
  for (const int64_t size : tensor.shape) count *= size;
  return count;
}

}  // namespace induct
