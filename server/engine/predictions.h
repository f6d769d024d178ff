// How well tokens are predicted: from the last layer's output to the logits, of which only two numbers a
// position are kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "common/decoder_spec.h"
#include "server/engine/engine.h"
#include "server/engine/wave.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// Rows whose logits are held at a time.
int64_t LogitsRows(const DecoderSpec& spec, c10::Device device);

// Sets out[i], for every row i of the micro-batch at a position >= first_position that has a next token in
// its prompt, to how well that token is predicted. residual: [S, D] after the last layer; out: [S]. Logits
// are held for a few rows at a time and their statistics float32 in any dtype. May throw what LibTorch
// throws.
void PredictNextTokens(const DecoderSpec& spec, const OutputWeights& weights, const MicroBatch& batch,
                       const at::Tensor& residual, int64_t first_position, std::span<Prediction> out);

}  // namespace induct::engine
