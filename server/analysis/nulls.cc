#include "server/analysis/nulls.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/bootstrap_t.h"
#include "server/analysis/null_targets.h"
#include "server/analysis/resampling.h"
#include "server/analysis/same_distance.h"
#include "server/analysis/score_pass.h"

namespace induct::analysis {
namespace {

// What the pass of one job read, and how it is summarised.
struct MeasuredTargets {
  const ScoreSums& sums;
  const ProfileResult& profile;
  const std::optional<Strata> strata;  // to resample within; none without intervals
  const std::vector<uint32_t> kept;    // [L, n_heads_kept]
  const NullOptions& nulls;
  const std::stop_token& stop;

  std::vector<double> CurveOf(std::span<const double> heads) const {
    return MeansOfKept(heads, kept, profile.n_layers);
  }
};

using Targets = std::vector<engine::ReadoutTarget>;

bool ByQuery(const engine::ReadoutTarget& a, const engine::ReadoutTarget& b) { return a.query < b.query; }
bool ByKey(const engine::ReadoutTarget& a, const engine::ReadoutTarget& b) { return a.key < b.key; }

// A prompt's targets of both by query and key; `of_nulls` are by query already. A query at a time: sorting
// all of a long prompt's would take too long to be cancelled.
absl::StatusOr<Targets> MergeOfPrompt(Targets of_profile, const Targets& of_nulls,
                                      const std::stop_token& stop) {
  std::stable_sort(of_profile.begin(), of_profile.end(), ByQuery);
  Targets merged(of_profile.size() + of_nulls.size());
  std::merge(of_profile.begin(), of_profile.end(), of_nulls.begin(), of_nulls.end(), merged.begin(), ByQuery);
  for (auto query = merged.begin(); query != merged.end();) {
    if (stop.stop_requested()) return Stopped("while ordering what to read");
    const auto end = std::upper_bound(query, merged.end(), *query, ByQuery);
    std::stable_sort(query, end, ByKey);
    query = end;
  }
  return merged;
}

// The targets of a profile and of its nulls, each prompt's by query and key: what several groups read of one
// pair is then read once. Takes the nulls' targets a prompt at a time, so that they are not there twice.
absl::Status Merge(std::vector<Targets>& nulls, std::vector<Targets>& targets, const std::stop_token& stop) {
  for (size_t i = 0; i < targets.size(); ++i) {
    const Targets of_nulls = std::exchange(nulls[i], {});
    INDUCT_ASSIGN_OR_RETURN(targets[i], MergeOfPrompt(std::move(targets[i]), of_nulls, stop));
  }
  return absl::OkStatus();
}

std::string WhyEmpty(AntecedentNullKind kind, std::span<const uint32_t> lags) {
  if (kind == AntecedentNullKind::kUniform) {
    return "no operation has a candidate: every earlier position holds the same token or lies nearer than "
           "the "
           "smallest lag that counts";
  }
  if (lags.size() == 1) {
    return absl::StrCat("all operations have lag ", lags[0],
                        ", so no other position has a lag that occurs; give prompts of several lags");
  }
  return "no operation has a candidate: no earlier position with another token has a lag that occurs";
}

// The effects of heads whose means are filled, and the layers' of the kept heads.
void FillEffects(const MeasuredTargets& measured, AntecedentNull& null) {
  for (size_t i = 0; i < null.heads.observed.size(); ++i)
    null.heads.effect.push_back(null.heads.observed[i] - null.heads.null_mean[i]);
  null.layers.observed = measured.CurveOf(null.heads.observed);
  null.layers.null_mean = measured.CurveOf(null.heads.null_mean);
  null.layers.effect = measured.CurveOf(null.heads.effect);
}

void FillMeans(const MeasuredTargets& measured, const NullTargets& targets, AntecedentNull& null) {
  const auto n_copy_ops = static_cast<double>(targets.n_copy_ops);
  const std::span<const double> observed = measured.sums.of_group(targets.observed_group);
  const std::span<const double> effect = measured.sums.of_group(targets.effect_group);
  for (size_t i = 0; i < observed.size(); ++i) {
    null.heads.observed.push_back(observed[i] / n_copy_ops);
    // 1 minus what was read may fall short of 0 by rounding.
    null.heads.null_mean.push_back(std::max(0.0, (observed[i] - effect[i]) / n_copy_ops));
  }
  FillEffects(measured, null);
}

// REQUIRES: measured.strata.
void SetIntervals(const MeasuredTargets& measured, ResampledScores resampled, AntecedentNull& null) {
  null.heads.intervals = std::move(resampled.heads);
  null.layers.intervals =
      CurveIntervals(resampled.curves, measured.profile.n_layers, TailShare(*measured.strata));
}

absl::Status FillIntervals(const MeasuredTargets& measured, const NullTargets& targets,
                           AntecedentNull& null) {
  const ProfileResult& profile = measured.profile;
  if (!measured.strata) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(ResampledScores resampled,
                          ResampleScores({.sums = measured.sums.of_prompts(targets.effect_group),
                                          .counts = targets.counts,
                                          .n_layers = profile.n_layers,
                                          .n_heads = profile.n_heads,
                                          .kept = measured.kept,
                                          .n_kept = profile.n_heads_kept,
                                          .strata = &*measured.strata,
                                          .resamples = profile.options.bootstrap_resamples,
                                          .seed = profile.options.seed},
                                         measured.stop));
  SetIntervals(measured, std::move(resampled), null);
  return absl::OkStatus();
}

// The effects of the prompts that have operations, each summed over them.
TestedEffects EffectsOfPrompts(const MeasuredTargets& measured, const NullTargets& targets) {
  const ProfileResult& profile = measured.profile;
  const std::span<const double> sums = measured.sums.of_prompts(targets.effect_group);
  const size_t width = size_t{profile.n_layers} * profile.n_heads;
  TestedEffects effects{.n_layers = profile.n_layers,
                        .n_heads = profile.n_heads,
                        .n_kept = profile.n_heads_kept,
                        .resamples = measured.nulls.null_resamples,
                        .seed = profile.options.seed};
  for (size_t i = 0; i < targets.counts.size(); ++i) {
    if (targets.counts[i] == 0) continue;
    ++effects.n_prompts;
    const std::span<const double> of_prompt = sums.subspan(i * width, width);
    effects.values.insert(effects.values.end(), of_prompt.begin(), of_prompt.end());
  }
  return effects;
}

absl::Status FillPValues(const MeasuredTargets& measured, const NullTargets& targets, AntecedentNull& null) {
  TestedEffects effects = EffectsOfPrompts(measured, targets);
  null.n_prompts = effects.n_prompts;
  if (effects.n_prompts < kMinTestedPrompts) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(AdjustedPValues p_values, BootstrapT(std::move(effects), measured.stop));
  null.heads.p_adjusted = std::move(p_values.heads);
  null.layers.p_adjusted = std::move(p_values.layers);
  return absl::OkStatus();
}

absl::StatusOr<AntecedentNull> Summarize(const MeasuredTargets& measured, AntecedentNullKind kind,
                                         const AntecedentNullTargets& all) {
  const NullTargets& targets = all.nulls[static_cast<size_t>(kind)];
  AntecedentNull null{.n_copy_ops = targets.n_copy_ops, .n_dropped = targets.n_dropped};
  if (targets.n_copy_ops == 0) {
    null.reason = WhyEmpty(kind, all.lags);
    return null;
  }
  FillMeans(measured, targets, null);
  INDUCT_RETURN_IF_ERROR(FillIntervals(measured, targets, null));
  INDUCT_RETURN_IF_ERROR(FillPValues(measured, targets, null));
  return null;
}

// The pass of a profile and, where asked for, of its shuffled antecedents.
struct NullsPass {
  ScoreTargets targets;
  std::optional<AntecedentNullTargets> nulls;
  std::optional<SameDistanceTargets> same_distance;  // with `nulls`

  uint32_t n_groups() const { return same_distance ? same_distance->end_group : kScoreKinds.size(); }
  std::optional<ScoreSums> sums;
};

absl::StatusOr<NullsPass> FindTargets(std::span<const Prompt> prompts, const ProfileOptions& options,
                                      bool shuffle, uint64_t n_scores, const std::stop_token& stop) {
  NullsPass pass;
  INDUCT_ASSIGN_OR_RETURN(pass.targets,
                          FindScoreTargets(prompts, options.antecedents, options.min_lag, stop));
  INDUCT_RETURN_IF_ERROR(
      CheckHasOperations(pass.targets.n_copy_ops[GroupOf(options.score)], prompts.size(), options));
  if (!shuffle || options.score == ScoreKind::kPrevious) return pass;
  INDUCT_ASSIGN_OR_RETURN(pass.nulls, FindNullTargets(prompts, options.score, options.antecedents,
                                                      options.min_lag, kScoreKinds.size(), stop));
  INDUCT_ASSIGN_OR_RETURN(pass.same_distance,
                          FindSameDistanceTargets(prompts, options.score, options.antecedents,
                                                  options.min_lag, pass.nulls->end_group, n_scores, stop));
  INDUCT_RETURN_IF_ERROR(Merge(pass.nulls->of_prompt, pass.targets.of_prompt, stop));
  INDUCT_RETURN_IF_ERROR(Merge(pass.same_distance->of_prompt, pass.targets.of_prompt, stop));
  return pass;
}

absl::Status RunPass(engine::Model& model, std::span<const Prompt> prompts, const ProfileOptions& options,
                     const std::stop_token& stop, const LayerScoresSink& on_layer,
                     const engine::ProgressSink& on_progress, NullsPass& pass) {
  std::vector<KeptGroup> kept = {{.group = GroupOf(options.score)}};
  if (pass.nulls) {
    for (const NullTargets& null : pass.nulls->nulls) kept.push_back({.group = null.effect_group});
    for (const KeptGroup& group : pass.same_distance->Kept()) kept.push_back(group);
  }
  ScoreSums& sums =
      pass.sums.emplace(ScoreSums::Shape{.n_prompts = static_cast<uint32_t>(prompts.size()),
                                         .n_layers = static_cast<uint32_t>(model.spec().n_layers),
                                         .n_heads = static_cast<uint32_t>(model.spec().n_heads),
                                         .n_groups = pass.n_groups()},
                        kept, model.options().dtype);
  const auto layer_done = [&](uint32_t layer) {
    return on_layer ? on_layer(ScoresOfLayer(pass.targets, sums, layer)) : absl::OkStatus();
  };
  INDUCT_RETURN_IF_ERROR(
      RunScorePass(model, prompts, pass.targets.of_prompt, options, stop, layer_done, on_progress, sums));
  if (!pass.nulls) return absl::OkStatus();
  for (const NullTargets& null : pass.nulls->nulls) sums.AddConstants(null.effect_group, null.constants);
  return absl::OkStatus();
}

// The effect's interval; no p.
absl::Status FillSameDistanceIntervals(const MeasuredTargets& measured, const SameDistanceTargets& targets,
                                       AntecedentNull& null) {
  const ProfileResult& profile = measured.profile;
  if (!measured.strata) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(std::optional<ResampledScores> resampled,
                          ResampleSameDistance(targets, measured.sums,
                                               {.kept = measured.kept,
                                                .n_kept = profile.n_heads_kept,
                                                .strata = &*measured.strata,
                                                .resamples = profile.options.bootstrap_resamples,
                                                .seed = profile.options.seed},
                                               measured.stop));
  if (resampled) SetIntervals(measured, *std::move(resampled), null);
  return absl::OkStatus();
}

absl::StatusOr<AntecedentNull> SummarizeSameDistance(const MeasuredTargets& measured,
                                                     const SameDistanceTargets& targets) {
  AntecedentNull null{
      .n_copy_ops = targets.n_copy_ops, .n_dropped = targets.n_dropped, .reason = targets.reason};
  if (targets.n_copy_ops == 0) return null;
  null.n_prompts = targets.CountPrompts();
  SameDistanceMeans means = MeansOfSameDistance(targets, measured.sums);
  null.heads.observed = std::move(means.observed);
  null.heads.null_mean = std::move(means.null_mean);
  FillEffects(measured, null);
  INDUCT_RETURN_IF_ERROR(FillSameDistanceIntervals(measured, targets, null));
  return null;
}

absl::StatusOr<ShuffledAntecedent> SummarizeShuffled(const MeasuredTargets& measured,
                                                     const AntecedentNullTargets& targets,
                                                     const SameDistanceTargets& same_distance) {
  ShuffledAntecedent shuffled{.resamples = measured.nulls.null_resamples};
  INDUCT_ASSIGN_OR_RETURN(shuffled.uniform, Summarize(measured, AntecedentNullKind::kUniform, targets));
  INDUCT_ASSIGN_OR_RETURN(shuffled.lag_matched,
                          Summarize(measured, AntecedentNullKind::kLagMatched, targets));
  INDUCT_ASSIGN_OR_RETURN(shuffled.same_distance, SummarizeSameDistance(measured, same_distance));
  return shuffled;
}

}  // namespace

absl::StatusOr<NullsResult> MeasureNulls(engine::Model& model, std::span<const Prompt> prompts,
                                         const ProfileOptions& options, const NullOptions& nulls,
                                         std::stop_token stop, const LayerScoresSink& on_layer,
                                         const engine::ProgressSink& on_progress) {
  INDUCT_RETURN_IF_ERROR(CheckArguments(prompts, options));
  const auto n_scores = static_cast<uint64_t>(model.spec().n_layers * model.spec().n_heads);
  INDUCT_ASSIGN_OR_RETURN(NullsPass pass, FindTargets(prompts, options, nulls.shuffle, n_scores, stop));
  INDUCT_RETURN_IF_ERROR(RunPass(model, prompts, options, stop, on_layer, on_progress, pass));

  NullsResult result;
  INDUCT_ASSIGN_OR_RETURN(result.profile, ProfileOfSums(prompts, pass.targets, *pass.sums, options, stop));
  const ProfileResult& profile = result.profile;
  if (pass.nulls) {
    const bool has_intervals = options.bootstrap_resamples > 0 && profile.n_prompts > 1;
    const MeasuredTargets measured{
        .sums = *pass.sums,
        .profile = profile,
        .strata = has_intervals ? std::optional(StratifyPrompts(prompts)) : std::nullopt,
        .kept = RankHeads(profile.chosen_scores(), profile.n_layers, profile.n_heads, profile.n_heads_kept),
        .nulls = nulls,
        .stop = stop};
    INDUCT_ASSIGN_OR_RETURN(result.shuffled, SummarizeShuffled(measured, *pass.nulls, *pass.same_distance));
  }
  if (nulls.head_permutation) {
    INDUCT_ASSIGN_OR_RETURN(
        result.permutation,
        PermuteHeads(profile.chosen_scores(),
                     {.n_layers = profile.n_layers,
                      .n_heads = profile.n_heads,
                      .n_groups = static_cast<uint32_t>(model.spec().n_kv_heads)},
                     options.high_score_quantile, nulls.permutation_resamples, options.seed, stop));
  }
  return result;
}

}  // namespace induct::analysis
