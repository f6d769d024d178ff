#include "server/checkpoint/tensor_names.h"

namespace induct::checkpoint {

NormTensors NameLayerNorm(const std::string& module, int64_t width) {
  return {.weight = {module + ".weight", {width}}, .bias = TensorSpec{module + ".bias", {width}}};
}

NormTensors NameRmsNorm(const std::string& module, int64_t width) {
  return {.weight = {module + ".weight", {width}}, .bias = std::nullopt};
}

LinearTensors NameLinear(const std::string& module, int64_t out, int64_t in, bool has_bias) {
  LinearTensors linear = {.weight = {module + ".weight", {out, in}}, .bias = std::nullopt};
  if (has_bias) linear.bias = TensorSpec{module + ".bias", {out}};
  return linear;
}

void NameEmbeddings(const std::string& embedding, const std::string& unembedding, bool tied,
                    DecoderSpec& spec) {
  const std::vector<int64_t> shape = {spec.vocab_size, spec.d_model};
  spec.token_embedding = {embedding + ".weight", shape};
  spec.unembedding = tied ? spec.token_embedding : TensorSpec{unembedding + ".weight", shape};
}

LinearTensors NameConv1d(const std::string& module, int64_t in, int64_t out) {
  return {.weight = {module + ".weight", {in, out}}, .bias = TensorSpec{module + ".bias", {out}}};
}

}  // namespace induct::checkpoint
