// Which products a model's linear layers use.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "common/decoder_spec.h"
#include "server/engine/linear_chooser.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// Asks the chooser for every shape that a model has, and tells the model's weights. One for a model, on the
// thread that runs its passes.
class ModelProducts {
 public:
  // chooser: may be nullptr, nothing is ever settled then. `spec` and `weights` must outlive it.
  ModelProducts(const DecoderSpec& spec, std::shared_ptr<LinearChooser> chooser, WeightStore& weights)
      : spec_(spec), chooser_(std::move(chooser)), weights_(weights) {}

  // Before such work, which measuring takes a small part of (ChoosingTime); what is settled stays so.
  // CANCELLED after a stop request. May throw what LibTorch throws.
  absl::Status Settle(const LinearWork& work, std::stop_token stop);

  // What the shapes that `work` needs use.
  std::vector<LinearUse> Uses(const LinearWork& work) const;

 private:
  // Those of a layer, in the order of kLinearsOfLayer, and the unembedding.
  static constexpr size_t kShapes = kLinearsOfLayer.size() + 1;

  bool Chooses() const { return chooser_ != nullptr && weights_.device().is_cpu(); }
  // How many shapes the work needs, the first ones.
  static size_t ShapesOf(const LinearWork& work) { return work.n_logits > 0 ? kShapes : kShapes - 1; }
  // The first ShapesOf(work).
  std::vector<LinearShape> Shapes(const LinearWork& work) const;
  absl::Status UseChoices(std::stop_token stop);
  // Once all layers are settled, for a dtype that may be a slow one.
  void CompareWithFloat32(const LinearShape& shape);

  const DecoderSpec& spec_;
  const std::shared_ptr<LinearChooser> chooser_;
  WeightStore& weights_;
  ChoosingTime time_;
  std::array<std::optional<LinearChoice>, kShapes> choices_;
  LayerMethods used_ = {};  // what the weights were told of these
  std::optional<double> times_float32_;
};

}  // namespace induct::engine
