#include "server/analysis/score_targets.h"

#include "common/status.h"

namespace induct::analysis {

absl::StatusOr<ScoreTargets> FindScoreTargets(std::span<const Prompt> prompts, Antecedents antecedents,
                                              uint32_t min_lag, const std::stop_token& stop) {
  ScoreTargets targets;
  targets.of_prompt.reserve(prompts.size());
  for (const Prompt& prompt : prompts) {
    if (stop.stop_requested()) return Stopped("while looking for copy operations");
    std::vector<engine::ReadoutTarget>& of_prompt = targets.of_prompt.emplace_back();
    for (const ScoreKind kind : kScoreKinds) {
      const uint32_t group = GroupOf(kind);
      const std::vector<CopyOperation> operations =
          FindCopyOperations(prompt.tokens, prompt.n_bos, kind, antecedents, min_lag);
      for (const CopyOperation& operation : operations) {
        for (const uint32_t key : operation.keys)
          of_prompt.push_back({.query = operation.query, .key = key, .group = group});
      }
      targets.counts[group].push_back(static_cast<uint32_t>(operations.size()));
      targets.n_copy_ops[group] += operations.size();
    }
  }
  return targets;
}

}  // namespace induct::analysis
