// Gathers what a pass reads, over waves of prompts, into the sums that scores are made of.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/dtype.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// Sums of attention probabilities by readout group: over all prompts of every group, and of each prompt of
// the groups that are kept, which is what the bootstrap needs. Used by one thread at a time.
class ScoreSums {
 public:
  struct Shape {
    uint32_t n_prompts = 0, n_layers = 0, n_heads = 0, n_groups = 0;
  };
  // `kept`: groups, none twice. `dtype` is what the model computes in; it decides what the advice about
  // non-finite scores is.
  ScoreSums(const Shape& shape, std::vector<uint32_t> kept, DType dtype);

  // Adds one layer's readout. FAILED_PRECONDITION (NON_FINITE_SCORES) naming layer, head and prompt; INTERNAL
  // where the readout does not fit the shape, or a layer ends before all prompts came.
  absl::Status Add(const engine::LayerReadout& readout);

  // INTERNAL where some prompt's readout of some layer never came.
  absl::Status CheckComplete() const;

  const Shape& shape() const { return shape_; }
  std::span<const double> of_group(uint32_t group) const;    // [L, H]
  std::span<const double> of_prompts(uint32_t group) const;  // [N, L, H]. REQUIRES: the group is kept

  // Adds `constants` [N], the same for every head, to a kept group's sums.
  void AddConstants(uint32_t group, std::span<const double> constants);

 private:
  absl::Status CheckShape(const engine::LayerReadout& readout) const;
  absl::Status CheckFinite(const engine::LayerReadout& readout) const;
  size_t PlaceOf(uint32_t group) const;  // in of_prompts_

  const Shape shape_;
  const std::vector<uint32_t> kept_;
  const DType dtype_;
  std::vector<double> of_group_;                 // [G, L, H]
  std::vector<std::vector<double>> of_prompts_;  // of each kept group [N, L, H]
  std::vector<uint32_t> n_prompts_seen_;         // [L]
};

}  // namespace induct::analysis
