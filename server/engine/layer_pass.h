// The layer-major pass: every layer is applied to all prompts of a wave before the next layer begins.
#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "server/engine/decoder_layer.h"
#include "server/engine/engine.h"
#include "server/engine/layer_queue.h"
#include "server/engine/micro_batch_runner.h"
#include "server/engine/wave.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// One run of a Pass. Made for one call of Run, on one thread; `pass`, `spec` and `weights` must outlive it.
// on_halving: as in LoadOptions.
class LayerPass {
 public:
  // REQUIRES: ValidatePass(spec, pass) is OK.
  LayerPass(const DecoderSpec& spec, const WeightStore& weights, const Pass& pass,
            std::function<void()> on_halving, std::stop_token stop);

  absl::Status Run();

 private:
  // How far a layer is run.
  enum class Extent { kProbabilities, kHeadOutputs, kWhole };

  // What a wave's layer gives.
  struct LayerResults {
    ReadoutSums readout;               // [N, C, H]
    std::vector<double> head_outputs;  // [H, K] summed, where the pass asks for them
  };

  absl::Status RunWave(const Wave& wave);
  // Takes the layer's weights from `layers`.
  absl::Status RunLayer(int64_t layer, const Wave& wave, const at::Tensor& residual, LayerQueue& layers,
                        LayerResults& results);
  void RunMicroBatch(const DecoderLayer& layer, Extent extent, const MicroBatch& batch,
                     const at::Tensor& residual, LayerResults& results) const;

  Extent ExtentOf(int64_t layer) const;
  LayerPart PartOf(int64_t layer) const;
  absl::Status HandOutResults(int64_t layer, const Wave& wave, const LayerResults& results) const;
  absl::Status HandOutResidual(int64_t layer, const Wave& wave, const at::Tensor& residual) const;

  const DecoderSpec& spec_;
  const WeightStore& weights_;
  const Pass& pass_;
  const std::stop_token stop_;
  const int64_t n_layers_;  // that are run
  const RotaryTable rotary_;
  MicroBatchRunner runner_;
};

}  // namespace induct::engine
