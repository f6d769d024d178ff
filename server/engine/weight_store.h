// The weights of a decoder: read from a TensorSource, brought to device and dtype, kept or fetched layer by
// layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/engine.h"
#include "server/engine/linear.h"
#include "server/engine/norm.h"

namespace induct::engine {

// Handles: copying one copies no weights.
struct LayerWeights {
  Norm attention_norm;
  Linear qkv;                 // [(H + 2 G) * K, D]: all queries, all keys, all values
  Norm query_norm, key_norm;  // undefined weights: none
  // These and all that follow are undefined where only LayerPart::kAttentionInput was asked for and layers
  // are streamed.
  Linear attention_output;  // [D, H * K]
  Norm mlp_norm;
  Linear mlp_input;   // [F, D], or [2 F, D] where the MLP is gated: the gate's rows, then the input's
  Linear mlp_output;  // [D, F]

  // Says to LibTorch that the calling thread's stream reads the weights, whichever stream brought them: their
  // memory is not used again before it is through. Nothing on a CPU.
  void UseInCurrentStream() const;
};

// The linear layers of a layer, in the order in which it applies them.
inline constexpr std::array kLinearsOfLayer = {&LayerWeights::qkv, &LayerWeights::attention_output,
                                               &LayerWeights::mlp_input, &LayerWeights::mlp_output};
// What each of them uses.
using LayerMethods = std::array<std::optional<LinearMethod>, kLinearsOfLayer.size()>;

// What turns the last layer's output into logits.
struct OutputWeights {
  Norm final_norm;
  Linear unembedding;  // [V, D], without a bias
};

// kAttentionInput: the norm and projection that queries, keys and values come from.
enum class LayerPart { kAll, kAttentionInput };

class WeightReader;

// Holds position embeddings and, unless layers are streamed, the embeddings of tokens, every layer and, once
// they were asked for, the output weights. Safe from every thread.
class WeightStore {
 public:
  // Checks every tensor that `spec` names, then loads. Final norm and unembedding wait until Output asks for
  // them: a profile reads no logits.
  static absl::StatusOr<std::unique_ptr<WeightStore>> Load(const DecoderSpec& spec,
                                                           std::shared_ptr<const TensorSource> source,
                                                           const LoadOptions& options, std::stop_token stop);

  bool streams_layers() const { return layers_.empty(); }
  c10::Device device() const { return target_.device(); }
  // Device and dtype of weights.
  const at::TensorOptions& options() const { return target_; }

  // Calls `visit` with rows of the token embeddings [V, D], consecutive ones, from row `first` on: all at
  // once, or a block at a time where layers are streamed, as these take no memory then either.
  absl::Status VisitTokenEmbeddings(
      std::stop_token stop, absl::FunctionRef<void(int64_t first, const at::Tensor& rows)> visit) const;
  // [max_positions, D] float32, or undefined: none.
  const at::Tensor& position_embeddings() const { return position_embeddings_; }

  // A layer's weights; read from the source, each tensor once, where layers are streamed. They take memory as
  // long as the caller holds them; that of `spent`, weights of a layer that nobody needs any more or none, is
  // used again: fresh pages would take longer than reading does.
  absl::StatusOr<LayerWeights> Layer(int64_t layer, LayerPart part, LayerWeights spent,
                                     std::stop_token stop) const;

  // The output weights; read at the first call and kept, or at each call where layers are streamed. An
  // unembedding that is tied to an embedding that is held is the same tensor.
  absl::StatusOr<OutputWeights> Output(std::stop_token stop) const;

  // From now on linear layers use these methods, and resident weights are brought into the order that they
  // want for n_rows rows. Not while a pass runs. CANCELLED after a stop request, then some layers keep what
  // they had. May throw what LibTorch throws.
  absl::Status SetLayerMethods(const LayerMethods& methods, int64_t n_rows, std::stop_token stop);
  void SetUnembeddingMethod(LinearMethod method);

  int64_t resident_bytes() const;

  // Of a token's residual stream, which is float32.
  int64_t BytesPerToken() const;

 private:
  WeightStore(const DecoderSpec& spec, std::shared_ptr<const TensorSource> source)
      : spec_(spec), source_(std::move(source)) {}

  // Those of positions, and those of tokens unless layers are streamed.
  absl::Status ReadEmbeddings(bool stream_layers, std::stop_token stop);
  absl::StatusOr<LayerWeights> ReadLayer(int64_t layer, LayerPart part, LayerWeights spent,
                                         std::stop_token stop) const;
  // What LayerPart::kAll has beyond kAttentionInput.
  static absl::Status ReadRest(WeightReader& reader, const LayerTensors& tensors, LayerWeights& weights);
  absl::StatusOr<OutputWeights> ReadOutput(std::stop_token stop) const;

  const DecoderSpec spec_;
  const std::shared_ptr<const TensorSource> source_;
  at::TensorOptions target_;
  at::Tensor token_embeddings_;       // undefined where layers are streamed
  at::Tensor position_embeddings_;    // undefined where there are none
  std::vector<LayerWeights> layers_;  // [L], or empty where layers are streamed
  std::atomic<int64_t> layers_bytes_ = 0;
  LayerMethods layer_methods_ = {};  // of layers that are streamed

  mutable absl::Mutex output_mutex_;
  mutable std::optional<OutputWeights> output_ ABSL_GUARDED_BY(output_mutex_);
  std::optional<LinearMethod> unembedding_method_ ABSL_GUARDED_BY(output_mutex_);
};

}  // namespace induct::engine
