// The layer-major pass: every layer is applied to all prompts of a wave before the next layer begins.
#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "server/engine/decoder_layer.h"
#include "server/engine/engine.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// One run of a Pass. Made for one call of Run, on one thread; `pass`, `spec` and `weights` must outlive it.
class LayerPass {
 public:
  // REQUIRES: ValidatePass(spec, pass) is OK.
  LayerPass(const DecoderSpec& spec, const WeightStore& weights, const Pass& pass, std::stop_token stop);

  absl::Status Run();

 private:
  // Consecutive prompts of the pass whose residual streams are kept together.
  struct Wave {
    int64_t first_prompt = 0;
    std::vector<PackedPrompt> prompts;  // by length, so that equal lengths attend together
    at::Tensor residual;                // [n_tokens, D]
    at::Tensor positions;               // [n_tokens] int64, each token's position in its prompt
    int64_t n_tokens() const { return prompts.back().first_row + prompts.back().length; }
  };

  // The prompts from `first_prompt` on that fit the activation budget, at least one.
  Wave PackWave(int64_t first_prompt) const;
  absl::Status Embed(Wave& wave) const;
  absl::Status RunWave(Wave& wave);
  absl::Status RunLayerOnWave(int64_t layer, const Wave& wave, ReadoutSums& sums);
  absl::Status RunMicroBatch(int64_t layer, const LayerWeights& weights, const MicroBatch& batch,
                             ReadoutSums& sums);

  // How many prompts of wave.prompts from `first` on go into one micro-batch.
  size_t MicroBatchSize(const Wave& wave, size_t first) const;
  bool NeedsOnlyReadout(int64_t layer) const;
  absl::Status HandOutResidual(int64_t layer, const Wave& wave) const;
  void AddProgress(const MicroBatch& batch);

  const DecoderSpec& spec_;
  const WeightStore& weights_;
  const Pass& pass_;
  const std::stop_token stop_;
  RotaryTable rotary_;
  size_t prompt_limit_;  // of a micro-batch; halved each time memory runs out
  int64_t done_ = 0;     // tokens times layers
  int64_t total_ = 0;
};

}  // namespace induct::engine
