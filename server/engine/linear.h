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

// input: [S, in], result: [S, out].
at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input,
                       std::optional<Activation> activation = std::nullopt);

}  // namespace induct::engine
