// One layer of the decoder, on one micro-batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "common/decoder_spec.h"
#include "server/engine/readout.h"
#include "server/engine/rotary.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// Prompts that one call runs, with their tokens packed: `residual` [S, D] holds the rows of prompts[0],
// prompts[1], ...
struct MicroBatch {
  std::span<const PackedPrompt> prompts;
  at::Tensor residual;   // [S, D], a view into the wave's residual stream
  at::Tensor positions;  // [S] int64, each token's position in its prompt
};

// Both add the targets' probabilities to `sums`, may throw what LibTorch throws, and may then be called
// again: the residual stream changes only at the end, by operations that allocate nothing.

// The whole layer: batch.residual becomes the layer's output.
void RunLayer(const DecoderSpec& spec, const LayerWeights& weights, const RotaryTable& rotary,
              const MicroBatch& batch, ReadoutSums& sums);

// Only what attention probabilities need, the queries and keys. The residual stream stays as it is.
void ReadLayer(const DecoderSpec& spec, const LayerWeights& weights, const RotaryTable& rotary,
               const MicroBatch& batch, ReadoutSums& sums);

}  // namespace induct::engine
