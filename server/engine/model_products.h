// Which products a model's linear layers use.
#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "common/decoder_spec.h"
#include "server/engine/linear_chooser.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// Asks the chooser for every shape that a model has, and tells the model's weights. One for a model, on the
// thread that runs its passes. Both methods may throw what LibTorch throws, and take at most the time that
// Model::ChooseLinear promises; what is settled stays so.
class ModelProducts {
 public:
  // chooser: may be nullptr, nothing is ever settled then. `spec` and `weights` must outlive it.
  ModelProducts(const DecoderSpec& spec, std::shared_ptr<LinearChooser> chooser, WeightStore& weights)
      : spec_(spec), chooser_(std::move(chooser)), weights_(weights) {}

  // For a pass of so many tokens. CANCELLED after a stop request.
  absl::Status SettleLayers(int64_t n_tokens, std::stop_token stop);
  // For so many logits.
  void SettleUnembedding(int64_t n_tokens, std::stop_token stop);

  // Of the shapes of a layer, in its order, once they are settled.
  const std::vector<LinearUse>& uses() const { return uses_; }

 private:
  bool Chooses() const { return chooser_ != nullptr && weights_.device().is_cpu(); }
  // The rate of the shape in float32 where that is known, or little to measure, and higher; else 0.
  double FasterInFloat32(LinearShape shape, const LinearChoice& choice, double pass_flop) const;
  // In the order of kLinearsOfLayer.
  std::vector<LinearShape> LayerShapes() const;

  const DecoderSpec& spec_;
  const std::shared_ptr<LinearChooser> chooser_;
  WeightStore& weights_;
  std::vector<LinearUse> uses_;
  bool unembedding_is_settled_ = false;
};

}  // namespace induct::engine
