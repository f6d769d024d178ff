#include "server/engine/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

namespace induct::engine {

RotaryTable::RotaryTable(const DecoderSpec& spec, int64_t n_positions, c10::Device device)
    : half_(spec.rotary_dims / 2) {
  if (half_ == 0) return;
  const auto float32 = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor exponents = at::arange(0, spec.rotary_dims, 2, float32) / spec.rotary_dims;
  const at::Tensor frequencies = at::pow(spec.rotary_base, exponents).reciprocal();
  const at::Tensor angles = at::outer(at::arange(n_positions, float32), frequencies).unsqueeze(1);
  cos_ = angles.cos().to(device);
  sin_ = angles.sin().to(device);
}

void RotaryTable::Apply(const at::Tensor& heads, const at::Tensor& positions) const {
  if (half_ == 0) return;
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
