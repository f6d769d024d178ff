// One layer norm or RMS norm.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/decoder_spec.h"

namespace induct::engine {

struct Norm {
  at::Tensor weight;  // [n] float32
  at::Tensor bias;    // [n] float32, or undefined: none
};

// Normalises `input` [..., n] over its last dimension, as `spec` says: in float32 whatever the input is, then
// brought to `output_dtype`.
at::Tensor ApplyNorm(const Norm& norm, const DecoderSpec& spec, const at::Tensor& input,
                     c10::ScalarType output_dtype);

}  // namespace induct::engine
