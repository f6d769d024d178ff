// What tokens become before the first layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <stop_token>

#include "absl/status/statusor.h"
#include "server/engine/wave.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// The residual stream [n_tokens, D] before the first layer, float32 as it stays. CANCELLED after a stop
// request, and errors of reading embeddings that are not held. May throw what LibTorch throws.
absl::StatusOr<at::Tensor> Embed(const Wave& wave, const WeightStore& weights, std::stop_token stop);

}  // namespace induct::engine
