#include "server/engine/norm.h"

#include <ATen/ops/layer_norm.h>

namespace induct::engine {

at::Tensor ApplyNorm(const Norm& norm, const at::Tensor& input, double epsilon) {
  return at::layer_norm(input, {input.size(-1)}, norm.weight, norm.bias, epsilon);
}

}  // namespace induct::engine
