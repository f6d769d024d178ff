// One linear layer: y = x W^T + b, with the activation that follows it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "common/decoder_spec.h"
#include "server/engine/linear_choice.h"

namespace induct::engine {

struct Linear {
  at::Tensor weight;  // [out, in]; packed: in an order that only its product can read
  at::Tensor bias;    // [out], or undefined: none
  // Nothing: DefaultMethod. Of no effect on devices other than a CPU.
  std::optional<LinearMethod> method = {};
};

// input: [S, in], result: [S, out] in the weight's dtype, to which the input is brought first.
at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input,
                       std::optional<Activation> activation = std::nullopt);

// The first n_outputs columns of ApplyLinear's result, and only their work unless the weights are packed.
at::Tensor ApplyFirstOutputs(const Linear& linear, int64_t n_outputs, const at::Tensor& input);

// output: of the input's shape and dtype; may be the input.
void Activate(Activation activation, const at::Tensor& input, at::Tensor output);

// What is used where nothing was chosen: oneDNN where it has a product for the dtype, else at::linear.
LinearMethod DefaultMethod(c10::ScalarType dtype);

// Whether LibTorch and this processor have the product for numbers of this kind; of float16 only kAten.
bool HasProduct(LinearProduct product, c10::ScalarType dtype);

// The weights, contiguous [out, in] on a CPU, in the order of kOneDnnPacked, best for n_rows rows; others are
// computed too. Takes as much memory again until the caller drops the weights.
// REQUIRES: HasProduct(kOneDnnPacked, dtype).
at::Tensor PackWeight(const at::Tensor& weight, int64_t n_rows);

}  // namespace induct::engine
