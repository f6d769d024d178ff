#include "server/analysis/score_pass.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::analysis {

absl::Status CheckArguments(std::span<const Prompt> prompts, const ProfileOptions& options) {
  if (prompts.empty()) return InvalidField("prompts", "there are no prompts; give at least one");
  if (!(options.high_score_quantile >= 0 && options.high_score_quantile < 1)) {
    return InvalidField("evaluation.high_score_quantile",
                        absl::StrCat(options.high_score_quantile, " is outside [0, 1)"));
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].n_bos == prompts[0].n_bos) continue;
    return InvalidField("prompts",
                        absl::StrCat("prompt ", i, " has n_bos ", prompts[i].n_bos, ", prompt 0 has ",
                                     prompts[0].n_bos, "; it must be the same for all prompts of a job"));
  }
  return absl::OkStatus();
}

absl::Status CheckHasOperations(uint64_t n_copy_ops, size_t n_prompts, const ProfileOptions& options) {
  if (n_copy_ops > 0) return absl::OkStatus();
  const std::string where =
      options.score == ScoreKind::kPrevious
          ? "no token comes for the first time after another one"
          : absl::StrCat("no token comes back at a distance that counts (antecedents ",
                         std::string(AntecedentsName(options.antecedents)), ", min_lag ", options.min_lag,
                         "); give prompts that repeat themselves, or a smaller min_lag");
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          n_prompts == 1 ? "the prompt holds" : absl::StrCat("the ", n_prompts, " prompts hold"),
          " no copy operation of score ", std::string(ScoreKindName(options.score)), ": ", where)),
      reason::kNoCopyOperations);
}

absl::Status RunScorePass(engine::Model& model, std::span<const Prompt> prompts, TargetsOfPrompts targets,
                          const ProfileOptions& options, const std::stop_token& stop,
                          const std::function<absl::Status(uint32_t layer)>& on_layer,
                          const engine::ProgressSink& on_progress, ScoreSums& sums,
                          const HeadOutputsWanted& outputs) {
  engine::Pass pass{.n_groups = static_cast<int64_t>(sums.shape().n_groups),
                    .batch_size = options.batch_size,
                    .activation_budget = options.activation_budget,
                    .on_progress = on_progress,
                    .on_head_outputs = outputs.sink,
                    .first_output_position = outputs.first_position};
  pass.prompts.reserve(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    pass.prompts.push_back({.tokens = prompts[i].tokens, .targets = targets[i]});
  }
  pass.on_layer = [&](const engine::LayerReadout& readout) -> absl::Status {
    INDUCT_RETURN_IF_ERROR(sums.Add(readout));
    return readout.last_wave ? on_layer(static_cast<uint32_t>(readout.layer)) : absl::OkStatus();
  };
  INDUCT_RETURN_IF_ERROR(model.Run(pass, stop));
  return sums.CheckComplete();
}

LayerScores ScoresOfLayer(const ScoreTargets& targets, const ScoreSums& sums, uint32_t layer) {
  const size_t n_heads = sums.shape().n_heads;
  LayerScores scores{.layer = layer};
  for (const ScoreKind kind : kScoreKinds) {
    const uint64_t n_copy_ops = targets.n_copy_ops[GroupOf(kind)];
    if (n_copy_ops == 0) continue;
    const auto of_layer = sums.of_group(GroupOf(kind)).subspan(layer * n_heads, n_heads);
    std::vector<double> values(of_layer.begin(), of_layer.end());
    for (double& value : values) value /= static_cast<double>(n_copy_ops);
    scores.kinds.push_back({.kind = kind, .n_copy_ops = n_copy_ops, .values = std::move(values)});
  }
  return scores;
}

}  // namespace induct::analysis
