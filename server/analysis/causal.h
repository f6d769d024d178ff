// Causal ablation: what becomes of copying without the top heads, against sets of other heads. Definition:
// docs/method.md, "Causal ablation".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/ablation_arms.h"
#include "server/analysis/profile.h"
#include "server/analysis/prompts.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// What takes the place of an ablated head's output: 0 at every position, or its mean over the selection half
// at every position >= n_bos.
enum class Ablation { kZero, kMean };
std::string_view AblationName(Ablation ablation);  // "zero", "mean"

struct CausalOptions {
  uint32_t top_k = 3;          // >= 1; not looked at where heads are given
  uint32_t random_k = 3;       // >= 1; heads of each set of the control random_k
  uint32_t random_draws = 20;  // sets of each control
  Ablation ablation = Ablation::kZero;
  std::vector<engine::Head>
      heads;  // to ablate instead of the best; empty: the best top_k of the selection half
};

struct CausalResult {
  ProfileOptions options;  // by whose scores heads are ranked
  Ablation ablation = Ablation::kZero;
  uint32_t resamples = 0;  // of the intervals; 0: there are none
  uint32_t n_layers = 0, n_heads = 0;
  std::vector<uint32_t> selection_prompts, evaluation_prompts;  // indices, rising
  std::vector<float> selection_scores;                          // [L, H] on the selection half
  bool chosen_by_user = false;                                  // else by rank
  std::vector<engine::Head> top_heads;                          // best first; the user's in their order
  AblationArm baseline, top_k;
  ControlArm random_k, matched_k;
  std::optional<AblationCheck> check;  // absent where random_k has no draws, or no position is predictable
  uint32_t n_control_prompts = 0;
  std::vector<std::string> warnings;
};

// Splits `prompts` (all with the same n_bos), scores heads on the selection half in one pass, and measures
// every arm on the evaluation half in one pass of all variants; where `control_prompts` (may be empty; all
// with the same n_bos) are given, on them in another. `on_layer` sees the selection half's scores as they
// become final, `on_progress` the share of all passes that is done; both may be empty. Deterministic for the
// same inputs up to rounding of the engine.
//
// INVALID_ARGUMENT: fewer than two prompts; NO_COPY_OPERATIONS where the selection half holds none of the
// chosen kind; more top heads than the model has (field evaluation.causal_top_k); a given head that the model
// lacks or that is given twice (field heads). FAILED_PRECONDITION (NON_FINITE_SCORES) naming where.
// RESOURCE_EXHAUSTED (OUT_OF_MEMORY) where the draws and prompts are too many to sum. CANCELLED. Errors of
// the engine and of `on_layer` as they are.
absl::StatusOr<CausalResult> MeasureCausal(engine::Model& model, std::span<const Prompt> prompts,
                                           std::span<const Prompt> control_prompts,
                                           const ProfileOptions& options, const CausalOptions& causal,
                                           std::stop_token stop, const LayerScoresSink& on_layer,
                                           const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
