// The arms of a causal ablation, and what comparing them says. Definitions: docs/method.md, "Causal
// ablation".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/analysis/ablation_metrics.h"
#include "server/analysis/control_draws.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// One set of heads ablated.
struct AblationArm {
  std::vector<engine::Head> heads;  // empty: none
  AblationMetrics metrics;
  AblationDelta delta;  // nothing in the baseline
};

// A control: distinct sets of heads, none a top head.
struct ControlArm {
  std::vector<AblationArm> draws;
  OfMetrics<double> delta_mean;  // over the draws; nothing where there are none
  // One-sided: (1 + draws whose delta reaches top_k's) / (1 + draws). Absent without draws, without
  // predictable positions, or where the sets have another size than top_k's.
  std::optional<double> p_copy_nll, p_copy_accuracy;
  std::optional<double> smallest_p;  // 1 / (1 + draws); absent without draws
  double n_possible = 0;             // as of ControlDraws
  std::string reason;                // why there are no draws, or fewer than asked; else empty
};

// Does ablating the top heads lower copy accuracy by more than ablating random ones?
struct AblationCheck {
  double delta_top = 0;   // of copy_accuracy
  double delta_rand = 0;  // mean of random_k's draws
  bool delta_top_below_delta_rand = false;
};

// The arm of a variant in the table; variant 0 is the baseline.
AblationArm MakeArm(const MetricTable& table, std::vector<engine::Head> heads, size_t variant);

// The control whose set i is the variant variants[i].
ControlArm MakeControl(const MetricTable& table, const ControlDraws& draws, std::span<const size_t> variants,
                       const AblationArm& top_k);

// Absent where random_k has no draws, or no position is predictable.
std::optional<AblationCheck> CheckAgainstRandom(const AblationArm& top_k, const ControlArm& random_k);

}  // namespace induct::analysis
