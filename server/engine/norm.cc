#include "server/engine/norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>

#include "server/engine/fused_kernels.h"

namespace induct::engine {

at::Tensor ApplyNorm(const Norm& norm, const DecoderSpec& spec, const at::Tensor& input,
                     c10::ScalarType output_dtype) {
  if (HasFusedNorm(input)) return FusedNorm(norm, spec.norm, spec.norm_epsilon, input, output_dtype);
  const at::Tensor values = input.to(at::kFloat);
  if (spec.norm == NormKind::kLayerNorm) {
    return at::layer_norm(values, {values.size(-1)}, norm.weight, norm.bias, spec.norm_epsilon)
        .to(output_dtype);
  }
  const at::Tensor normed = at::rms_norm(values, {values.size(-1)}, norm.weight, spec.norm_epsilon);
  return (norm.bias.defined() ? normed + norm.bias : normed).to(output_dtype);
}

}  // namespace induct::engine
