#include "server/engine/norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>

namespace induct::engine {

at::Tensor ApplyNorm(const Norm& norm, const DecoderSpec& spec, const at::Tensor& input) {
  const at::Tensor values = input.to(at::kFloat);
  if (spec.norm == NormKind::kLayerNorm) {
    return at::layer_norm(values, {values.size(-1)}, norm.weight, norm.bias, spec.norm_epsilon);
  }
  const at::Tensor normed = at::rms_norm(values, {values.size(-1)}, norm.weight, spec.norm_epsilon);
  return norm.bias.defined() ? normed + norm.bias : normed;
}

}  // namespace induct::engine
