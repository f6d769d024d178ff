// Gathers what a pass reads, over waves of prompts, into the sums that scores are made of.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/dtype.h"
#include "server/analysis/copy_operations.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// Sums of attention probabilities, one readout group a score kind (score_targets.h): over all prompts for
// each kind, and of each prompt for the chosen kind alone, which is what the bootstrap needs. Used by one
// thread at a time.
class ScoreSums {
 public:
  struct Shape {
    uint32_t n_prompts = 0, n_layers = 0, n_heads = 0;
  };
  // `dtype` is what the model computes in; it decides what the advice about non-finite scores is.
  ScoreSums(const Shape& shape, ScoreKind chosen, DType dtype);

  // Adds one layer's readout. FAILED_PRECONDITION (NON_FINITE_SCORES) naming layer, head and prompt; INTERNAL
  // where the readout does not fit the shape, or a layer ends before all prompts came.
  absl::Status Add(const engine::LayerReadout& readout);

  // INTERNAL where some prompt's readout of some layer never came.
  absl::Status CheckComplete() const;

  std::span<const double> of_kind(ScoreKind kind) const;              // [L, H]
  std::span<const double> of_prompts() const { return of_prompts_; }  // [N, L, H] of the chosen kind

 private:
  absl::Status CheckShape(const engine::LayerReadout& readout) const;
  absl::Status CheckFinite(const engine::LayerReadout& readout) const;

  const Shape shape_;
  const ScoreKind chosen_;
  const DType dtype_;
  std::array<std::vector<double>, kScoreKinds.size()> of_kind_;  // each [L, H]
  std::vector<double> of_prompts_;                               // [N, L, H]
  std::vector<uint32_t> n_prompts_seen_;                         // [L]
};

}  // namespace induct::analysis
