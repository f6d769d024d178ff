// The weights of a decoder: read from a TensorSource, brought to device and dtype, kept or fetched layer by
// layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"
#include "server/engine/linear.h"

namespace induct::engine {

struct Norm {
  at::Tensor weight, bias;  // [D]
};

// Handles: copying one copies no weights.
struct LayerWeights {
  Norm attention_norm;
  Linear qkv;  // [3 * D, D], rows ordered [3, H, K]: all queries, all keys, all values
  // Undefined where only LayerPart::kQueriesAndKeys was asked for and layers are streamed.
  Linear attention_output;  // [D, D]
  Norm mlp_norm;
  Linear mlp_input;   // [F, D]
  Linear mlp_output;  // [D, F]
};

enum class LayerPart { kAll, kQueriesAndKeys };

// Constant after Load, so safe from every thread. Holds the embedding and, unless layers are streamed, every
// layer.
class WeightStore {
 public:
  // Checks every tensor that `spec` names, then loads. Neither the final norm nor the unembedding is loaded:
  // no pass reads logits.
  static absl::StatusOr<std::unique_ptr<WeightStore>> Load(const DecoderSpec& spec,
                                                           std::shared_ptr<const TensorSource> source,
                                                           const LoadOptions& options, std::stop_token stop);

  const at::Tensor& token_embedding() const { return token_embedding_; }  // [V, D]
  c10::Device device() const { return token_embedding_.device(); }

  // A layer's weights; read from the source, each tensor once, where layers are streamed. They take memory as
  // long as the caller holds them.
  absl::StatusOr<LayerWeights> Layer(int64_t layer, LayerPart part, std::stop_token stop) const;

  int64_t resident_bytes() const;

 private:
  WeightStore(const DecoderSpec& spec, std::shared_ptr<const TensorSource> source)
      : spec_(spec), source_(std::move(source)) {}

  absl::StatusOr<LayerWeights> ReadLayer(int64_t layer, LayerPart part, std::stop_token stop) const;

  const DecoderSpec spec_;
  const std::shared_ptr<const TensorSource> source_;
  at::TensorOptions target_;  // device and dtype of every weight
  at::Tensor token_embedding_;
  std::vector<LayerWeights> layers_;  // [L], or empty where layers are streamed
};

}  // namespace induct::engine
