#include "server/engine/head_replacement.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/where.h>

namespace induct::engine {

HeadReplacement::HeadReplacement(const DecoderSpec& spec, std::span<const float> replacement,
                                 int64_t first_position, const at::TensorOptions& target)
    : d_head_(spec.d_head), first_position_(first_position) {
  if (replacement.empty()) return;
  // from_blob only reads here: `to` copies.
  vectors_ = at::from_blob(const_cast<float*>(replacement.data()), {spec.n_layers, spec.n_heads, spec.d_head},
                           at::kFloat)
                 .to(target, /*non_blocking=*/false, /*copy=*/true);
}

void HeadReplacement::Apply(int64_t layer, std::span<const int64_t> heads, const at::Tensor& positions,
                            at::Tensor& z) const {
  if (heads.empty()) return;
  const at::Tensor by_head = z.unflatten(1, {-1, d_head_});  // [S, H, K]
  at::Tensor replaced;                                       // [S, 1]
  if (vectors_.defined()) replaced = positions.ge(first_position_).unsqueeze(1);
  for (const int64_t head : heads) {
    at::Tensor output = by_head.select(1, head);  // [S, K]
    if (vectors_.defined()) {
      output.copy_(at::where(replaced, vectors_[layer][head], output));
    } else {
      output.zero_();
    }
  }
}

}  // namespace induct::engine
