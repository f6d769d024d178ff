#include "server/analysis/profile.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/score_sums.h"
#include "server/analysis/score_targets.h"

namespace induct::analysis {
namespace {

constexpr size_t kTopHeads = 10;

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

absl::Status CheckHasOperations(const ScoreTargets& targets, const ProfileOptions& options) {
  if (targets.n_copy_ops[GroupOf(options.score)] > 0) return absl::OkStatus();
  const std::string where =
      options.score == ScoreKind::kPrevious
          ? "no token comes for the first time after another one"
          : absl::StrCat("no token comes back at a distance that counts (antecedents ",
                         std::string(AntecedentsName(options.antecedents)), ", min_lag ", options.min_lag,
                         "); give prompts that repeat themselves, or a smaller min_lag");
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "the ", targets.of_prompt.size(), " prompts hold no copy operation of score ",
                        std::string(ScoreKindName(options.score)), ": ", where)),
                    reason::kNoCopyOperations);
}

LayerScores ScoresOfLayer(const ScoreTargets& targets, const ScoreSums& sums, uint32_t layer,
                          uint32_t n_heads) {
  LayerScores scores{.layer = layer};
  for (const ScoreKind kind : kScoreKinds) {
    const uint64_t n_copy_ops = targets.n_copy_ops[GroupOf(kind)];
    if (n_copy_ops == 0) continue;
    const auto of_layer = sums.of_kind(kind).subspan(size_t{layer} * n_heads, n_heads);
    std::vector<double> values(of_layer.begin(), of_layer.end());
    for (double& value : values) value /= static_cast<double>(n_copy_ops);
    scores.kinds.push_back({.kind = kind, .n_copy_ops = n_copy_ops, .values = std::move(values)});
  }
  return scores;
}

// One pass over the prompts into `sums`; `on_layer` sees each layer when its last wave is in.
absl::Status RunPass(engine::Model& model, std::span<const Prompt> prompts, const ScoreTargets& targets,
                     const ProfileOptions& options, const std::stop_token& stop,
                     const LayerScoresSink& on_layer, const engine::ProgressSink& on_progress,
                     ScoreSums& sums) {
  engine::Pass pass{.n_groups = static_cast<int64_t>(kScoreKinds.size()),
                    .batch_size = options.batch_size,
                    .activation_budget = options.activation_budget,
                    .on_progress = on_progress};
  pass.prompts.reserve(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    pass.prompts.push_back({.tokens = prompts[i].tokens, .targets = targets.of_prompt[i]});
  }
  const auto n_heads = static_cast<uint32_t>(model.spec().n_heads);
  pass.on_layer = [&](const engine::LayerReadout& readout) -> absl::Status {
    INDUCT_RETURN_IF_ERROR(sums.Add(readout));
    if (!readout.last_wave || !on_layer) return absl::OkStatus();
    return on_layer(ScoresOfLayer(targets, sums, static_cast<uint32_t>(readout.layer), n_heads));
  };
  INDUCT_RETURN_IF_ERROR(model.Run(pass, stop));
  return sums.CheckComplete();
}

std::vector<HeadScores> MeanScores(const ScoreTargets& targets, const ScoreSums& sums) {
  std::vector<HeadScores> scores;
  for (const ScoreKind kind : kScoreKinds) {
    const uint64_t n_copy_ops = targets.n_copy_ops[GroupOf(kind)];
    if (n_copy_ops == 0) continue;
    HeadScores& of_kind = scores.emplace_back(HeadScores{.kind = kind, .n_copy_ops = n_copy_ops});
    for (const double sum : sums.of_kind(kind)) {
      of_kind.values.push_back(static_cast<float>(sum / static_cast<double>(n_copy_ops)));
    }
  }
  return scores;
}

// [N, L, H]: each prompt's mean over its operations.
std::vector<float> PromptScores(std::span<const double> sums, std::span<const uint32_t> counts) {
  std::vector<float> scores(sums.size());
  const size_t width = sums.size() / counts.size();
  for (size_t i = 0; i < sums.size(); ++i) {
    const uint32_t count = counts[i / width];
    if (count > 0) scores[i] = static_cast<float>(sums[i] / count);
  }
  return scores;
}

std::vector<TopHead> TopHeads(std::span<const float> scores, uint32_t n_heads,
                              const std::optional<BootstrapResult>& bootstrap) {
  std::vector<size_t> ranked(scores.size());
  std::iota(ranked.begin(), ranked.end(), size_t{0});
  std::stable_sort(ranked.begin(), ranked.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  ranked.resize(std::min(kTopHeads, ranked.size()));
  std::vector<TopHead> top;
  for (const size_t at : ranked) {
    top.push_back({.layer = static_cast<uint32_t>(at / n_heads),
                   .head = static_cast<uint32_t>(at % n_heads),
                   .score = scores[at]});
    if (bootstrap) top.back().interval = bootstrap->heads[at];
  }
  return top;
}

// Intervals for the profile over the heads `kept` [L, n_heads_kept], where there are prompts to resample.
absl::Status AddBootstrap(std::span<const Prompt> prompts, std::span<const double> sums,
                          std::span<const uint32_t> kept, const std::stop_token& stop,
                          ProfileResult& result) {
  if (result.options.bootstrap_resamples == 0) return absl::OkStatus();
  if (prompts.size() < 2) {
    result.warnings.push_back(
        "there is one prompt only, so there are no intervals; they come from resampling prompts");
    return absl::OkStatus();
  }
  const Strata strata = StratifyPrompts(prompts);
  if (!strata.warning.empty()) result.warnings.push_back(strata.warning);
  INDUCT_ASSIGN_OR_RETURN(result.bootstrap, BootstrapProfile({.sums = sums,
                                                              .counts = result.prompt_counts,
                                                              .n_layers = result.n_layers,
                                                              .n_heads = result.n_heads,
                                                              .kept = kept,
                                                              .n_kept = result.n_heads_kept,
                                                              .strata = &strata,
                                                              .resamples = result.options.bootstrap_resamples,
                                                              .seed = result.options.seed},
                                                             stop));
  return absl::OkStatus();
}

// Fills everything that follows from the sums.
absl::Status Summarize(std::span<const Prompt> prompts, const ScoreTargets& targets, const ScoreSums& sums,
                       const std::stop_token& stop, ProfileResult& result) {
  const ProfileOptions& options = result.options;
  result.n_copy_ops = targets.n_copy_ops[GroupOf(options.score)];
  result.prompt_counts = targets.counts[GroupOf(options.score)];
  result.prompt_scores = PromptScores(sums.of_prompts(), result.prompt_counts);
  result.scores = MeanScores(targets, sums);
  const auto chosen = std::find_if(result.scores.begin(), result.scores.end(),
                                   [&](const HeadScores& scores) { return scores.kind == options.score; });
  const std::span<const float> scores = chosen->values;

  // Ranked on the scores as they are published, so that a reader of the files finds the same heads.
  result.n_heads_kept = HeadsKept(options.aggregation, options.high_score_quantile, result.n_heads);
  const std::vector<uint32_t> kept = RankHeads(scores, result.n_layers, result.n_heads, result.n_heads_kept);
  for (uint32_t layer = 0; layer < result.n_layers; ++layer) {
    result.per_layer.push_back(
        MeanOfKept(scores.subspan(size_t{layer} * result.n_heads, result.n_heads),
                   std::span(kept).subspan(size_t{layer} * result.n_heads_kept, result.n_heads_kept)));
  }
  result.statistics = SummarizeProfile(result.per_layer);
  if (!result.statistics) {
    result.warnings.push_back("the profile is 0 in every layer, so it has no peak, centroid or width");
  }
  INDUCT_RETURN_IF_ERROR(AddBootstrap(prompts, sums.of_prompts(), kept, stop, result));
  result.top_heads = TopHeads(scores, result.n_heads, result.bootstrap);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProfileResult> MeasureProfile(engine::Model& model, std::span<const Prompt> prompts,
                                             const ProfileOptions& options, std::stop_token stop,
                                             const LayerScoresSink& on_layer,
                                             const engine::ProgressSink& on_progress) {
  INDUCT_RETURN_IF_ERROR(CheckArguments(prompts, options));
  INDUCT_ASSIGN_OR_RETURN(const ScoreTargets targets,
                          FindScoreTargets(prompts, options.antecedents, options.min_lag, stop));
  INDUCT_RETURN_IF_ERROR(CheckHasOperations(targets, options));

  ProfileResult result{.options = options,
                       .n_layers = static_cast<uint32_t>(model.spec().n_layers),
                       .n_heads = static_cast<uint32_t>(model.spec().n_heads),
                       .n_prompts = static_cast<uint32_t>(prompts.size())};
  ScoreSums sums({.n_prompts = result.n_prompts, .n_layers = result.n_layers, .n_heads = result.n_heads},
                 options.score, model.options().dtype);
  INDUCT_RETURN_IF_ERROR(RunPass(model, prompts, targets, options, stop, on_layer, on_progress, sums));
  INDUCT_RETURN_IF_ERROR(Summarize(prompts, targets, sums, stop, result));
  return result;
}

}  // namespace induct::analysis
