// One layer of the decoder, on one micro-batch.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/decoder_spec.h"
#include "server/engine/attention.h"
#include "server/engine/readout.h"
#include "server/engine/rotary.h"
#include "server/engine/wave.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// A layer's weights with what they do. Residual streams are [S, D] float32, the rows of a micro-batch. Every
// method may throw what LibTorch throws, and may then be called again: a residual stream changes only at the
// end, by operations that allocate nothing. What the first two read is added to `sums`: the targets'
// probabilities.
class DecoderLayer {
 public:
  // `spec` and `rotary` must outlive it.
  DecoderLayer(const DecoderSpec& spec, const RotaryTable& rotary, LayerWeights weights)
      : spec_(spec), rotary_(rotary), weights_(std::move(weights)) {}

  // Only what attention probabilities need, the queries and keys.
  void ReadProbabilities(const MicroBatch& batch, const at::Tensor& residual, ReadoutSums& sums) const;

  // What the heads put out, before the output projection: z [S, H * K], in the dtype of the weights. The
  // caller's to change.
  at::Tensor HeadOutputs(const MicroBatch& batch, const at::Tensor& residual, ReadoutSums& sums) const;

  // What the MLP adds where it reads the layer's input; undefined where it reads attention's output, so that
  // nothing is known of it yet.
  at::Tensor ParallelMlp(const at::Tensor& residual) const;

  // The rest of the layer, given z and ParallelMlp: `residual` becomes the layer's output.
  void Finish(const at::Tensor& head_outputs, const at::Tensor& parallel_mlp, at::Tensor residual) const;

 private:
  // The parts of [S, (H + G) * K] or [S, (H + 2 G) * K]: queries and keys, normalised and rotated in place,
  // and values where there are any.
  AttentionInput SplitHeads(const MicroBatch& batch, const at::Tensor& projected) const;
  at::Tensor Mlp(const at::Tensor& input) const;         // [S, D]
  at::Tensor MlpHidden(const at::Tensor& normed) const;  // [S, F]

  c10::ScalarType dtype() const { return weights_.qkv.weight.scalar_type(); }  // of linear layers

  const DecoderSpec& spec_;
  const RotaryTable& rotary_;
  const LayerWeights weights_;
};

}  // namespace induct::engine
