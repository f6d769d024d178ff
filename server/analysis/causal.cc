#include "server/analysis/causal.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/control_draws.h"
#include "server/analysis/head_selection.h"
#include "server/analysis/prediction_sums.h"
#include "server/analysis/prompt_split.h"
#include "server/analysis/resampling.h"

namespace induct::analysis {
namespace {

using HeadSet = std::vector<engine::Head>;

// The sets of heads to ablate, each measured once: both controls may draw the same.
class Variants {
 public:
  // The number of the variant without `heads`.
  size_t Add(HeadSet heads) {
    std::sort(heads.begin(), heads.end());
    const auto [it, is_new] = number_of_.try_emplace(std::move(heads), sets_.size());
    if (is_new) sets_.push_back(it->first);
    return it->second;
  }
  std::vector<size_t> AddAll(const std::vector<HeadSet>& sets) {
    std::vector<size_t> numbers;
    for (const HeadSet& heads : sets) numbers.push_back(Add(heads));
    return numbers;
  }
  const std::vector<HeadSet>& sets() const { return sets_; }

 private:
  std::map<HeadSet, size_t> number_of_;
  std::vector<HeadSet> sets_;
};

absl::Status CheckPrompts(std::span<const Prompt> prompts) {
  if (prompts.size() >= 2) return absl::OkStatus();
  return InvalidField("prompts",
                      absl::StrCat("a causal ablation needs two prompts at least, one to choose heads on "
                                   "and one to measure them on; there is ",
                                   prompts.empty() ? "none" : "one"));
}

// What every step of one job needs.
struct Job {
  engine::Model& model;
  const ProfileOptions& options;
  const CausalOptions& causal;
  const std::stop_token stop;
};

// One progress over several passes, each of some share of the work.
class PassProgress {
 public:
  PassProgress(const engine::ProgressSink& sink, double total_work) : sink_(sink), total_work_(total_work) {}

  // The sink of the next pass. Must not outlive this.
  engine::ProgressSink Next(double work) {
    const double before = std::exchange(done_, done_ + work);
    if (!sink_) return {};
    return [this, before, work](double share) { sink_((before + share * work) / total_work_); };
  }

 private:
  const engine::ProgressSink& sink_;
  const double total_work_;
  double done_ = 0;
};

// Work of a pass over one token: the variants that the draws come to where no set is rare.
double EstimateVariants(const CausalOptions& causal) { return 2.0 + 2.0 * causal.random_draws; }

double CountTokens(std::span<const Prompt> prompts) {
  double n_tokens = 0;
  for (const Prompt& prompt : prompts) n_tokens += static_cast<double>(prompt.tokens.size());
  return n_tokens;
}

std::vector<Prompt> Take(std::span<const Prompt> prompts, std::span<const uint32_t> indices) {
  std::vector<Prompt> taken;
  for (const uint32_t index : indices) taken.push_back(prompts[index]);
  return taken;
}

// Prompts that variants are measured on, and how often they are resampled.
struct MeasuredPrompts {
  std::string name;  // in messages
  std::span<const Prompt> prompts;
  uint32_t resamples = 0;
  Strata strata = {};
};

// `warnings` gets what becomes of the resamples that were asked for.
MeasuredPrompts PlanBootstrap(MeasuredPrompts plan, std::vector<std::string>& warnings) {
  if (plan.resamples == 0) return plan;
  if (plan.prompts.size() < 2) {
    plan.resamples = 0;
    warnings.push_back(absl::StrCat(plan.name,
                                    ": there is one prompt only, so there are no intervals; they come from "
                                    "resampling prompts"));
    return plan;
  }
  plan.strata = StratifyPrompts(plan.prompts);
  if (!plan.strata.warning.empty()) warnings.push_back(absl::StrCat(plan.name, ": ", plan.strata.warning));
  return plan;
}

absl::StatusOr<PredictionSums> Predict(const Job& job, const MeasuredPrompts& measured,
                                       std::optional<Antecedents> antecedents, const Variants& variants,
                                       std::span<const float> replacement,
                                       const engine::ProgressSink& on_progress) {
  auto sums = SumPredictions(job.model,
                             {.prompts = measured.prompts,
                              .variants = variants.sets(),
                              .replacement = replacement,
                              .antecedents = antecedents,
                              .batch_size = job.options.batch_size,
                              .activation_budget = job.options.activation_budget},
                             job.stop, on_progress);
  return sums.ok() ? std::move(sums) : Annotate(sums.status(), measured.name);
}

absl::Status SummarizeSums(const Job& job, const MeasuredPrompts& measured, const MetricSums& sums,
                           Metric metric, MetricTable& table) {
  INDUCT_ASSIGN_OR_RETURN(
      table[static_cast<size_t>(metric)],
      SummarizeMetric(sums, measured.strata, measured.resamples, job.options.seed, job.stop));
  return absl::OkStatus();
}

// Every metric of every variant: one pass over the evaluation half, one over the control prompts where there
// are any.
absl::StatusOr<MetricTable> MeasureVariants(const Job& job, const MeasuredPrompts& evaluation,
                                            const MeasuredPrompts& controls, const Variants& variants,
                                            std::span<const float> replacement, PassProgress& progress) {
  MetricTable table;
  const auto on_evaluation = progress.Next(CountTokens(evaluation.prompts) * EstimateVariants(job.causal));
  INDUCT_ASSIGN_OR_RETURN(const PredictionSums copying, Predict(job, evaluation, job.options.antecedents,
                                                                variants, replacement, on_evaluation));
  INDUCT_RETURN_IF_ERROR(SummarizeSums(job, evaluation, copying.copy_accuracy, Metric::kCopyAccuracy, table));
  INDUCT_RETURN_IF_ERROR(SummarizeSums(job, evaluation, copying.copy_nll, Metric::kCopyNll, table));
  INDUCT_RETURN_IF_ERROR(SummarizeSums(job, evaluation, copying.other_nll, Metric::kOtherNll, table));
  if (controls.prompts.empty()) return table;

  const auto on_controls = progress.Next(CountTokens(controls.prompts) * EstimateVariants(job.causal));
  INDUCT_ASSIGN_OR_RETURN(const PredictionSums of_controls,
                          Predict(job, controls, std::nullopt, variants, replacement, on_controls));
  INDUCT_RETURN_IF_ERROR(SummarizeSums(job, controls, of_controls.other_nll, Metric::kControlNll, table));
  return table;
}

// The arms from the draws: what is measured, and what it says.
absl::Status MeasureArms(const Job& job, const MeasuredPrompts& evaluation, const MeasuredPrompts& controls,
                         std::span<const float> replacement, PassProgress& progress, CausalResult& result) {
  const DrawOptions draws{.n_layers = result.n_layers,
                          .n_heads = result.n_heads,
                          .top_heads = result.top_heads,
                          .draws = job.causal.random_draws,
                          .seed = job.options.seed};
  const ControlDraws random = DrawRandomSets(draws, job.causal.random_k);
  const ControlDraws matched = DrawMatchedSets(draws);
  Variants variants;
  const size_t baseline = variants.Add({}), top_k = variants.Add(result.top_heads);
  const std::vector<size_t> of_random = variants.AddAll(random.sets),
                            of_matched = variants.AddAll(matched.sets);

  INDUCT_ASSIGN_OR_RETURN(const MetricTable table,
                          MeasureVariants(job, evaluation, controls, variants, replacement, progress));
  result.baseline = MakeArm(table, {}, baseline);
  result.top_k = MakeArm(table, result.top_heads, top_k);
  result.random_k = MakeControl(table, random, of_random, result.top_k);
  result.matched_k = MakeControl(table, matched, of_matched, result.top_k);
  result.check = CheckAgainstRandom(result.top_k, result.random_k);
  return absl::OkStatus();
}

// What a reader of the result must know.
void AddWarnings(const CausalOptions& causal, CausalResult& result) {
  if (causal.random_k != result.top_heads.size() && !result.random_k.draws.empty()) {
    result.warnings.push_back(
        absl::StrCat("random_k ablates ", causal.random_k, " heads, top_k ", result.top_heads.size(),
                     ", so random_k has no p; give causal_random_k ", result.top_heads.size(), " for one"));
  }
  for (const auto& [name, control] :
       {std::pair("random_k", &result.random_k), std::pair("matched_k", &result.matched_k)}) {
    if (!control->reason.empty()) result.warnings.push_back(absl::StrCat(name, ": ", control->reason));
  }
  if (result.n_control_prompts > 0 && result.baseline.metrics.n_control == 0) {
    result.warnings.push_back(
        "the control prompts hold no position to predict (each has one token), so there is no control_nll");
  }
  if (result.baseline.metrics.n_predictable == 0) {
    result.warnings.push_back(
        "no position of the evaluation half is predictable (no pair of tokens comes back as the antecedents "
        "ask), so "
        "there is no copy accuracy and no p");
  }
}

}  // namespace

std::string_view AblationName(Ablation ablation) {
  switch (ablation) {
    case Ablation::kZero:
      return "zero";
    case Ablation::kMean:
      return "mean";
  }
  return "";
}

absl::StatusOr<CausalResult> MeasureCausal(engine::Model& model, std::span<const Prompt> prompts,
                                           std::span<const Prompt> control_prompts,
                                           const ProfileOptions& options, const CausalOptions& causal,
                                           std::stop_token stop, const LayerScoresSink& on_layer,
                                           const engine::ProgressSink& on_progress) {
  INDUCT_RETURN_IF_ERROR(CheckPrompts(prompts));
  INDUCT_RETURN_IF_ERROR(CheckHeads(model.spec(), causal));
  PromptSplit split = SplitPrompts(prompts, options.seed);
  const std::vector<Prompt> selection = Take(prompts, split.selection);
  const std::vector<Prompt> evaluation = Take(prompts, split.evaluation);
  const double selection_work = CountTokens(selection);
  PassProgress progress(
      on_progress,
      selection_work + EstimateVariants(causal) * (CountTokens(evaluation) + CountTokens(control_prompts)));

  auto heads = SelectHeads(model, selection, options, causal, stop, on_layer, progress.Next(selection_work));
  if (!heads.ok()) return Annotate(heads.status(), "the selection half");
  CausalResult result{.options = options,
                      .ablation = causal.ablation,
                      .n_layers = static_cast<uint32_t>(model.spec().n_layers),
                      .n_heads = static_cast<uint32_t>(model.spec().n_heads),
                      .selection_prompts = std::move(split.selection),
                      .evaluation_prompts = std::move(split.evaluation),
                      .selection_scores = std::move(heads->scores),
                      .chosen_by_user = !causal.heads.empty(),
                      .top_heads = std::move(heads->top_heads),
                      .n_control_prompts = static_cast<uint32_t>(control_prompts.size()),
                      .warnings = std::move(heads->warnings)};
  const MeasuredPrompts measured = PlanBootstrap(
      {.name = "the evaluation half", .prompts = evaluation, .resamples = options.bootstrap_resamples},
      result.warnings);
  result.resamples = measured.resamples;
  MeasuredPrompts controls{.name = "the control prompts", .prompts = control_prompts};
  if (!control_prompts.empty()) {
    controls.resamples = result.resamples;
    controls = PlanBootstrap(std::move(controls), result.warnings);
  }
  INDUCT_RETURN_IF_ERROR(
      MeasureArms({model, options, causal, stop}, measured, controls, heads->replacement, progress, result));
  AddWarnings(causal, result);
  return result;
}

}  // namespace induct::analysis
