// What takes the place of ablated heads' outputs.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "common/decoder_spec.h"

namespace induct::engine {

// Constant after construction, safe from every thread.
class HeadReplacement {
 public:
  // replacement, first_position: as in AblationPass. `target` has the device and dtype of activations.
  HeadReplacement(const DecoderSpec& spec, std::span<const float> replacement, int64_t first_position,
                  const at::TensorOptions& target);

  // Replaces the outputs of `heads` of one layer in z [S, H * K]; positions: [S] int64, as z on the device.
  void Apply(int64_t layer, std::span<const int64_t> heads, const at::Tensor& positions, at::Tensor& z) const;

 private:
  const int64_t d_head_;
  const int64_t first_position_;
  at::Tensor vectors_;  // [L, H, K]; undefined: zeros at every position
};

}  // namespace induct::engine
