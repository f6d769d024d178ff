// One linear layer: y = x W^T + b, with the activation that follows it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "common/decoder_spec.h"

namespace induct::engine {

struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined: none
};

// input: [S, in], result: [S, out] in the weight's dtype, to which the input is brought first.
at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input,
                       std::optional<Activation> activation = std::nullopt);

// output: of the input's shape and dtype; may be the input.
void Activate(Activation activation, const at::Tensor& input, at::Tensor output);

}  // namespace induct::engine
