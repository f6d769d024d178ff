#include "server/analysis/profile.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/score_pass.h"
#include "server/analysis/score_sums.h"
#include "server/analysis/score_targets.h"

namespace induct::analysis {
namespace {

constexpr size_t kTopHeads = 10;

std::vector<HeadScores> MeanScores(const ScoreTargets& targets, const ScoreSums& sums) {
  std::vector<HeadScores> scores;
  for (const ScoreKind kind : kScoreKinds) {
    const uint64_t n_copy_ops = targets.n_copy_ops[GroupOf(kind)];
    if (n_copy_ops == 0) continue;
    HeadScores& of_kind = scores.emplace_back(HeadScores{.kind = kind, .n_copy_ops = n_copy_ops});
    for (const double sum : sums.of_group(GroupOf(kind))) {
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
  const std::optional<Strata> strata =
      StrataToResample(prompts, result.options.bootstrap_resamples, result.warnings);
  if (!strata) return absl::OkStatus();
  if (RestsOnOnePrompt(result.prompt_counts)) {
    result.warnings.push_back(
        "one prompt alone has operations, so intervals have no width; they come from resampling prompts");
  }
  INDUCT_ASSIGN_OR_RETURN(result.bootstrap, BootstrapProfile({.sums = sums,
                                                              .counts = result.prompt_counts,
                                                              .n_layers = result.n_layers,
                                                              .n_heads = result.n_heads,
                                                              .kept = kept,
                                                              .n_kept = result.n_heads_kept,
                                                              .strata = &*strata,
                                                              .resamples = result.options.bootstrap_resamples,
                                                              .seed = result.options.seed},
                                                             stop));
  return absl::OkStatus();
}

}  // namespace

std::span<const float> ProfileResult::chosen_scores() const {
  return std::find_if(scores.begin(), scores.end(),
                      [&](const HeadScores& of_kind) { return of_kind.kind == options.score; })
      ->values;
}

absl::StatusOr<ProfileResult> ProfileOfSums(std::span<const Prompt> prompts, const ScoreTargets& targets,
                                            const ScoreSums& sums, const ProfileOptions& options,
                                            const std::stop_token& stop) {
  const uint32_t chosen_group = GroupOf(options.score);
  ProfileResult result{.options = options,
                       .n_layers = sums.shape().n_layers,
                       .n_heads = sums.shape().n_heads,
                       .n_prompts = sums.shape().n_prompts,
                       .n_copy_ops = targets.n_copy_ops[chosen_group],
                       .scores = MeanScores(targets, sums)};
  result.prompt_counts = targets.counts[chosen_group];
  result.prompt_scores = PromptScores(sums.of_prompts(chosen_group), result.prompt_counts);
  const std::span<const float> scores = result.chosen_scores();

  // Ranked on the scores as they are published, so that a reader of the files finds the same heads.
  result.n_heads_kept = HeadsKept(options.aggregation, options.high_score_quantile, result.n_heads);
  const std::vector<uint32_t> kept = RankHeads(scores, result.n_layers, result.n_heads, result.n_heads_kept);
  result.per_layer = MeansOfKept(scores, kept, result.n_layers);
  result.statistics = SummarizeProfile(result.per_layer);
  if (!result.statistics) {
    result.warnings.push_back("the profile is 0 in every layer, so it has no peak, centroid or width");
  }
  INDUCT_RETURN_IF_ERROR(AddBootstrap(prompts, sums.of_prompts(chosen_group), kept, stop, result));
  result.top_heads = TopHeads(scores, result.n_heads, result.bootstrap);
  return result;
}

absl::StatusOr<ProfileResult> MeasureProfile(engine::Model& model, std::span<const Prompt> prompts,
                                             const ProfileOptions& options, std::stop_token stop,
                                             const LayerScoresSink& on_layer,
                                             const engine::ProgressSink& on_progress,
                                             const HeadOutputsWanted& outputs) {
  INDUCT_RETURN_IF_ERROR(CheckArguments(prompts, options));
  INDUCT_ASSIGN_OR_RETURN(const ScoreTargets targets,
                          FindScoreTargets(prompts, options.antecedents, options.min_lag, stop));
  INDUCT_RETURN_IF_ERROR(
      CheckHasOperations(targets.n_copy_ops[GroupOf(options.score)], prompts.size(), options));
  const KeptGroup kept{.group = GroupOf(options.score)};
  ScoreSums sums({.n_prompts = static_cast<uint32_t>(prompts.size()),
                  .n_layers = static_cast<uint32_t>(model.spec().n_layers),
                  .n_heads = static_cast<uint32_t>(model.spec().n_heads),
                  .n_groups = kScoreKinds.size()},
                 {&kept, 1}, model.options().dtype);
  const auto layer_done = [&](uint32_t layer) {
    return on_layer ? on_layer(ScoresOfLayer(targets, sums, layer)) : absl::OkStatus();
  };
  INDUCT_RETURN_IF_ERROR(
      RunScorePass(model, prompts, targets.of_prompt, options, stop, layer_done, on_progress, sums, outputs));
  return ProfileOfSums(prompts, targets, sums, options, stop);
}

}  // namespace induct::analysis
