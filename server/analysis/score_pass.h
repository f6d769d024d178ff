// The one pass that profiles and their relatives are made of: prompts, what to read of each, and the sums.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "server/analysis/profile.h"
#include "server/analysis/score_sums.h"
#include "server/analysis/score_targets.h"

namespace induct::analysis {

// INVALID_ARGUMENT: no prompts, prompts with different n_bos, a quantile outside [0, 1).
absl::Status CheckArguments(std::span<const Prompt> prompts, const ProfileOptions& options);

// INVALID_ARGUMENT (NO_COPY_OPERATIONS) where there are no operations of the chosen kind.
absl::Status CheckHasOperations(uint64_t n_copy_ops, size_t n_prompts, const ProfileOptions& options);

// What each prompt is read for, [N].
using TargetsOfPrompts = std::span<const std::vector<engine::ReadoutTarget>>;

// Runs the pass into `sums`, whose groups are those of the targets. `on_layer` is called with each layer when
// its last wave is in; an error of it ends the pass.
absl::Status RunScorePass(engine::Model& model, std::span<const Prompt> prompts, TargetsOfPrompts targets,
                          const ProfileOptions& options, const std::stop_token& stop,
                          const std::function<absl::Status(uint32_t layer)>& on_layer,
                          const engine::ProgressSink& on_progress, ScoreSums& sums,
                          const HeadOutputsWanted& outputs = {});

// A layer's scores of every kind, from the groups of FindScoreTargets.
LayerScores ScoresOfLayer(const ScoreTargets& targets, const ScoreSums& sums, uint32_t layer);

// Everything of a profile but its warnings about prompts, from the groups of FindScoreTargets; the chosen
// kind's is kept. CANCELLED when `stop` is requested.
absl::StatusOr<ProfileResult> ProfileOfSums(std::span<const Prompt> prompts, const ScoreTargets& targets,
                                            const ScoreSums& sums, const ProfileOptions& options,
                                            const std::stop_token& stop);

}  // namespace induct::analysis
