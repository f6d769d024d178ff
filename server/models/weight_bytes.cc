#include "server/models/weight_bytes.h"

#include <algorithm>
#include <vector>

namespace induct::models {
namespace {

int64_t NumbersIn(const std::vector<const TensorSpec*>& tensors) {
  int64_t numbers = 0;
  for (const TensorSpec* tensor : tensors) numbers += CountOf(*tensor);
  return numbers;
}

int64_t NumbersIn(const NormTensors& norm) {
  return CountOf(norm.weight) + (norm.bias ? CountOf(*norm.bias) : 0);
}

// `numbers` of which some stay float32.
int64_t Bytes(int64_t numbers, int64_t in_float32, DType dtype) {
  return (numbers - in_float32) * static_cast<int64_t>(DTypeBytes(dtype)) +
         in_float32 * static_cast<int64_t>(DTypeBytes(DType::kFloat32));
}

int64_t LayerBytes(const LayerTensors& layer, DType dtype) {
  int64_t in_float32 = NumbersIn(layer.attention_norm) + NumbersIn(layer.mlp_norm);
  if (layer.query_norm) in_float32 += NumbersIn(*layer.query_norm);
  if (layer.key_norm) in_float32 += NumbersIn(*layer.key_norm);
  return Bytes(NumbersIn(TensorsOf(layer)), in_float32, dtype);
}

}  // namespace

WeightBytes WeightBytesOf(const DecoderSpec& spec, DType dtype) {
  int64_t outside = NumbersIn(TensorsOf(spec));
  int64_t of_layers = 0, largest = 0, second = 0;
  for (const LayerTensors& layer : spec.layers) {
    outside -= NumbersIn(TensorsOf(layer));
    const int64_t bytes = LayerBytes(layer, dtype);
    of_layers += bytes;
    second = std::max(second, std::min(largest, bytes));
    largest = std::max(largest, bytes);
  }
  const int64_t in_float32 =
      NumbersIn(spec.final_norm) + (spec.position_embedding ? CountOf(*spec.position_embedding) : 0);
  const int64_t unembedding = Bytes(CountOf(spec.unembedding), 0, dtype);
  return {.whole = Bytes(outside, in_float32, dtype) + of_layers,
          .streamed = Bytes(in_float32, in_float32, dtype) + std::max(largest + second, unembedding)};
}

}  // namespace induct::models
