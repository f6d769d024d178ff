// The pass of several variants of a model over the same prompts, layer by layer, to their predictions.
#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "server/engine/decoder_layer.h"
#include "server/engine/engine.h"
#include "server/engine/head_replacement.h"
#include "server/engine/layer_queue.h"
#include "server/engine/micro_batch_runner.h"
#include "server/engine/wave.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// One run of an AblationPass. A variant's residual stream begins in its first ablated layer, where it still
// shares the unablated model's attention and, where that reads the layer's input, its MLP. Made for one call
// of RunVariants, on one thread; `pass`, `spec` and `weights` must outlive it. on_halving: as in LoadOptions.
class VariantPass {
 public:
  // REQUIRES: ValidateAblationPass(spec, pass) is OK.
  VariantPass(const DecoderSpec& spec, const WeightStore& weights, const AblationPass& pass,
              std::function<void()> on_halving, std::stop_token stop);

  absl::Status Run();

 private:
  // A variant that replaces at least one head's output.
  struct Ablated {
    int64_t variant = 0;                      // its number in the pass
    std::vector<std::vector<int64_t>> heads;  // [L], the heads replaced in each layer
    int64_t first_layer = 0;                  // that has any
  };

  // Residual streams of a wave, [n_tokens, D] each; undefined before a stream begins and where nothing needs
  // it any more.
  struct Streams {
    at::Tensor unablated;
    std::vector<at::Tensor> ablated;  // as ablated_
  };

  static std::vector<PassPrompt> WithoutTargets(const AblationPass& pass);
  static std::vector<Ablated> AblatedVariants(const DecoderSpec& spec, const AblationPass& pass);
  static std::vector<int64_t> UnablatedVariants(const AblationPass& pass);
  int64_t UnablatedLayers() const;
  int64_t LayerWork() const;
  int64_t LogitsWork() const;
  int64_t TotalWork() const;

  absl::Status RunWave(const Wave& wave);
  // Takes the layer's weights from `layers`.
  absl::Status RunLayer(int64_t layer, const Wave& wave, LayerQueue& layers, Streams& streams);
  // Advances the unablated stream by a layer, and the streams that begin in it.
  absl::Status RunUnablated(const DecoderLayer& decoder_layer, int64_t layer, const Wave& wave,
                            Streams& streams);
  absl::Status RunAblated(const DecoderLayer& decoder_layer, int64_t layer, const Wave& wave,
                          const Ablated& ablated, const at::Tensor& stream);
  absl::Status HandOutPredictions(const Wave& wave, const Streams& streams);
  // The predictions made at each of the wave's tokens.
  absl::StatusOr<std::vector<Prediction>> Predict(const Wave& wave, const OutputWeights& weights,
                                                  const at::Tensor& stream);
  absl::Status HandOut(int64_t variant, const Wave& wave, std::span<const Prediction> predictions) const;

  const DecoderSpec& spec_;
  const WeightStore& weights_;
  const AblationPass& pass_;
  const std::stop_token stop_;
  const std::vector<PassPrompt> prompts_;
  const std::vector<Ablated> ablated_;
  const std::vector<int64_t> unablated_;  // numbers of the variants that replace nothing
  const int64_t unablated_layers_;        // that anything needs the unablated stream in
  const RotaryTable rotary_;
  const HeadReplacement replacement_;
  MicroBatchRunner runner_;
  ReadoutSums no_readout_;  // for layers: no prompt has targets
};

}  // namespace induct::engine
