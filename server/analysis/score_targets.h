// What a pass must read for the scores of every kind: one readout group a kind, in the order of kScoreKinds.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/copy_operations.h"
#include "server/analysis/prompts.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// The group of a kind's targets and sums.
constexpr uint32_t GroupOf(ScoreKind kind) { return static_cast<uint32_t>(kind); }

struct ScoreTargets {
  std::vector<std::vector<engine::ReadoutTarget>> of_prompt;  // [N]
  std::array<std::vector<uint32_t>, kScoreKinds.size()>
      counts;                                                // of each kind [N]: operations of each prompt
  std::array<uint64_t, kScoreKinds.size()> n_copy_ops = {};  // of each kind, over all prompts
};

// CANCELLED when `stop` is requested.
absl::StatusOr<ScoreTargets> FindScoreTargets(std::span<const Prompt> prompts, Antecedents antecedents,
                                              uint32_t min_lag, const std::stop_token& stop);

}  // namespace induct::analysis
