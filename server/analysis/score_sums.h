// Gathers what a pass reads, over waves of prompts, into the sums that scores are made of.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/dtype.h"
#include "server/analysis/bootstrap.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// A group whose sums of each prompt are kept.
struct KeptGroup {
  uint32_t group = 0;
  // [N]: operations of each prompt in the group. A prompt without any takes no memory: its sums are 0. Empty:
  // every prompt's sums are kept.
  std::span<const uint32_t> counts = {};
};

// Sums of attention probabilities by readout group: over all prompts of every group, and of each prompt of
// the groups that are kept, which is what the bootstrap needs. Used by one thread at a time.
class ScoreSums {
 public:
  struct Shape {
    uint32_t n_prompts = 0, n_layers = 0, n_heads = 0, n_groups = 0;
  };
  // `kept`: no group twice; the counts need not outlive the call. `dtype` is what the model computes in; it
  // decides what the advice about non-finite scores is.
  ScoreSums(const Shape& shape, std::span<const KeptGroup> kept, DType dtype);

  // Adds one layer's readout. FAILED_PRECONDITION (NON_FINITE_SCORES) naming layer, head and prompt; INTERNAL
  // where the readout does not fit the shape, or a layer ends before all prompts came.
  absl::Status Add(const engine::LayerReadout& readout);

  // INTERNAL where some prompt's readout of some layer never came.
  absl::Status CheckComplete() const;

  const Shape& shape() const { return shape_; }
  std::span<const double> of_group(uint32_t group) const;  // [L, H]
  // REQUIRES, of these two: the group is kept.
  std::span<const double> of_prompts(uint32_t group) const;         // [N, L, H], or [rows, L, H] given counts
  std::span<const uint32_t> rows_of_prompts(uint32_t group) const;  // [N] as BootstrapInput::rows, or empty

  // Adds `constants` [N], the same for every head, to a kept group's sums. REQUIRES: 0 for prompts without a
  // row.
  void AddConstants(uint32_t group, std::span<const double> constants);

 private:
  absl::Status CheckShape(const engine::LayerReadout& readout) const;
  absl::Status CheckFinite(const engine::LayerReadout& readout) const;

  // The sums of each prompt of a group.
  struct PromptSums {
    uint32_t group = 0;
    std::vector<uint32_t> rows;  // [N]: where each prompt's are in `sums`, or kNoRow; empty: in its place
    std::vector<double> sums;    // [rows, L, H]

    PromptSums(const KeptGroup& kept, const Shape& shape);
    uint32_t RowOf(size_t prompt) const {
      return rows.empty() ? static_cast<uint32_t>(prompt) : rows[prompt];
    }
  };
  const PromptSums& Kept(uint32_t group) const;

  const Shape shape_;
  const DType dtype_;
  std::vector<double> of_group_;          // [G, L, H]
  std::vector<PromptSums> of_prompts_;    // of each kept group
  std::vector<uint32_t> n_prompts_seen_;  // [L]
};

}  // namespace induct::analysis
