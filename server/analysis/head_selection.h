// Chooses the heads that a causal ablation is about, on prompts that no arm is measured on. Definition:
// docs/method.md, "Causal ablation".
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/analysis/causal.h"
#include "server/analysis/profile.h"
#include "server/analysis/prompts.h"
#include "server/engine/engine.h"

namespace induct::analysis {

struct HeadSelection {
  std::vector<float> scores;            // [L, H] of the chosen kind
  std::vector<engine::Head> top_heads;  // the user's in their order, or the best, best first
  std::vector<float> replacement;  // [L, H, K] for mean ablation: each head's mean output; empty for zero
  std::vector<std::string> warnings;
};

// INVALID_ARGUMENT where the model has fewer heads than asked for (field evaluation.causal_top_k), lacks one
// that is given, or one is given twice (field heads).
absl::Status CheckHeads(const DecoderSpec& spec, const CausalOptions& causal);

// One pass over `prompts`, the selection half. Ties go to the lower layer, then the lower head. Errors are
// those of MeasureProfile. REQUIRES: CheckHeads is OK.
absl::StatusOr<HeadSelection> SelectHeads(engine::Model& model, std::span<const Prompt> prompts,
                                          const ProfileOptions& options, const CausalOptions& causal,
                                          std::stop_token stop, const LayerScoresSink& on_layer,
                                          const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
