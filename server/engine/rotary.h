// Rotary position embedding in the NeoX form: the first R = rotary_dims of each head are two halves, and
// (first[i], second[i]) is turned by the angle position * base^(-2i / R), slower where the spec scales it.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/decoder_spec.h"

namespace induct::engine {

// Cosines and sines of the positions 0 .. n_positions - 1. Constant after construction, safe from every
// thread.
class RotaryTable {
 public:
  RotaryTable(const DecoderSpec& spec, int64_t n_positions, c10::Device device);

  // Turns `heads` [S, n, K] in place; positions: [S] int64 on the device. Angles are float32, as models are
  // trained.
  void Apply(const at::Tensor& heads, const at::Tensor& positions) const;

 private:
  int64_t half_;
  at::Tensor cos_, sin_;  // [n_positions, 1, R / 2] float32
};

}  // namespace induct::engine
