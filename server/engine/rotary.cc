#include "server/engine/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

#include <numbers>

#include "server/engine/fused_kernels.h"

namespace induct::engine {

namespace {

// [R / 2] float32: how far a pair turns from one position to the next.
at::Tensor Frequencies(const DecoderSpec& spec) {
  const at::Tensor exponents = at::arange(0, spec.rotary_dims, 2, at::kFloat) / spec.rotary_dims;
  const at::Tensor frequencies = at::pow(spec.rotary_base, exponents).reciprocal();
  if (!spec.rotary_scaling) return frequencies;
  const Llama3Scaling& scaling = *spec.rotary_scaling;
  // 1 for wavelengths to leave as they are, 0 for those to slow down.
  const at::Tensor kept =
      ((scaling.original_positions / (2 * std::numbers::pi / frequencies) - scaling.low_frequency_factor) /
       (scaling.high_frequency_factor - scaling.low_frequency_factor))
          .clamp(0, 1);
  return (1 - kept) * frequencies / scaling.factor + kept * frequencies;
}

}  // namespace

RotaryTable::RotaryTable(const DecoderSpec& spec, int64_t n_positions, c10::Device device)
    : half_(spec.rotary_dims / 2) {
  if (half_ == 0) return;
  const at::Tensor angles = at::outer(at::arange(n_positions, at::kFloat), Frequencies(spec)).unsqueeze(1);
  cos_ = angles.cos().to(device);
  sin_ = angles.sin().to(device);
}

void RotaryTable::Apply(const at::Tensor& heads, const at::Tensor& positions) const {
  if (half_ == 0) return;
  if (HasFusedKernels(heads)) return FusedRotate(heads, positions, cos_, sin_);
  const at::Tensor cos = cos_.index_select(0, positions);  // [S, 1, R / 2]
  const at::Tensor sin = sin_.index_select(0, positions);
  at::Tensor first = heads.narrow(-1, 0, half_);
  at::Tensor second = heads.narrow(-1, half_, half_);
  const at::Tensor turned_first = first * cos - second * sin;
  const at::Tensor turned_second = second * cos + first * sin;
  first.copy_(turned_first);
  second.copy_(turned_second);
}

}  // namespace induct::engine
