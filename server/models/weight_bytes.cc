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

}  // namespace

WeightBytes WeightBytesOf(const DecoderSpec& spec, DType dtype) {
  const int64_t whole = NumbersIn(TensorsOf(spec));
  int64_t all_layers = 0, largest = 0, second = 0;
  for (const LayerTensors& layer : spec.layers) {
    const int64_t numbers = NumbersIn(TensorsOf(layer));
    all_layers += numbers;
    second = std::max(second, std::min(largest, numbers));
    largest = std::max(largest, numbers);
  }
  const auto bytes = static_cast<int64_t>(DTypeBytes(dtype));
  return {.whole = whole * bytes, .streamed = (whole - all_layers + largest + second) * bytes};
}

}  // namespace induct::models
