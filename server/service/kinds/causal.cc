// The top heads ablated, against controls.
#include <set>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/runs/causal_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

constexpr int kMaxHeads = 4096;

v1::AblationMetrics ToMessage(const analysis::AblationMetrics& metrics) {
  v1::AblationMetrics message;
  if (metrics.copy_accuracy) message.set_copy_accuracy(*metrics.copy_accuracy);
  if (metrics.copy_nll) message.set_copy_nll(*metrics.copy_nll);
  if (metrics.other_nll) message.set_other_nll(*metrics.other_nll);
  if (metrics.control_nll) message.set_control_nll(*metrics.control_nll);
  message.set_n_predictable(metrics.n_predictable);
  message.set_n_other(metrics.n_other);
  message.set_n_control(metrics.n_control);
  return message;
}

v1::AblationDelta ToMessage(const analysis::AblationDelta& delta) {
  v1::AblationDelta message;
  if (delta.copy_accuracy) *message.mutable_copy_accuracy() = ToEstimate(*delta.copy_accuracy);
  if (delta.copy_nll) *message.mutable_copy_nll() = ToEstimate(*delta.copy_nll);
  if (delta.other_nll) *message.mutable_other_nll() = ToEstimate(*delta.other_nll);
  if (delta.control_nll) *message.mutable_control_nll() = ToEstimate(*delta.control_nll);
  return message;
}

v1::AblationDeltaMean ToMessage(const analysis::OfMetrics<double>& mean) {
  v1::AblationDeltaMean message;
  if (mean.copy_accuracy) message.set_copy_accuracy(*mean.copy_accuracy);
  if (mean.copy_nll) message.set_copy_nll(*mean.copy_nll);
  if (mean.other_nll) message.set_other_nll(*mean.other_nll);
  if (mean.control_nll) message.set_control_nll(*mean.control_nll);
  return message;
}

v1::AblationArm BaselineMessage(const analysis::AblationArm& baseline) {
  v1::AblationArm message;
  *message.mutable_metrics() = ToMessage(baseline.metrics);
  return message;
}

v1::AblationArm ToMessage(const analysis::AblationArm& arm) {
  v1::AblationArm message;
  for (const engine::Head& head : arm.heads) *message.add_heads() = ToHeadRef(head);
  *message.mutable_metrics() = ToMessage(arm.metrics);
  *message.mutable_delta() = ToMessage(arm.delta);
  return message;
}

v1::ControlArm ToMessage(const analysis::ControlArm& control) {
  v1::ControlArm message;
  for (const analysis::AblationArm& draw : control.draws) *message.add_draws() = ToMessage(draw);
  if (!control.draws.empty()) *message.mutable_delta_mean() = ToMessage(control.delta_mean);
  if (control.p_copy_nll) message.set_p_copy_nll(*control.p_copy_nll);
  if (control.p_copy_accuracy) message.set_p_copy_accuracy(*control.p_copy_accuracy);
  if (control.smallest_p) message.set_smallest_p(*control.smallest_p);
  message.set_n_possible(control.n_possible);
  message.set_reason(control.reason);
  return message;
}

v1::Causal ToMessage(const std::string& model, const analysis::CausalResult& result) {
  v1::Causal message;
  message.set_model(model);
  message.set_resamples(result.resamples);
  SetOptions(result.options, &message);
  message.set_ablation(std::string(analysis::AblationName(result.ablation)));
  message.mutable_selection_prompts()->Assign(result.selection_prompts.begin(),
                                              result.selection_prompts.end());
  message.mutable_evaluation_prompts()->Assign(result.evaluation_prompts.begin(),
                                               result.evaluation_prompts.end());
  *message.mutable_selection_scores() = ToMatrix(result.selection_scores, result.n_layers, result.n_heads);
  message.set_chosen_by(result.chosen_by_user ? "user" : "rank");
  for (const engine::Head& head : result.top_heads) *message.add_top_heads() = ToHeadRef(head);
  *message.mutable_baseline() = BaselineMessage(result.baseline);
  *message.mutable_top_k() = ToMessage(result.top_k);
  *message.mutable_random_k() = ToMessage(result.random_k);
  *message.mutable_matched_k() = ToMessage(result.matched_k);
  if (result.check) {
    message.mutable_check()->set_delta_top(result.check->delta_top);
    message.mutable_check()->set_delta_rand(result.check->delta_rand);
    message.mutable_check()->set_delta_top_below_delta_rand(result.check->delta_top_below_delta_rand);
  }
  message.set_n_control_prompts(result.n_control_prompts);
  return message;
}

// The numbers of prompts are limited together.
absl::Status CheckControlPrompts(const v1::CausalSpec& causal, const SpecLimits& limits) {
  INDUCT_RETURN_IF_ERROR(CheckGivenPrompts("control_prompts", causal.control_prompts(), limits));
  const v1::ProfileSpec& profile = causal.profile();
  const uint64_t n_prompts = profile.given_prompts().empty()
                                 ? profile.prompts().n_sequences()
                                 : static_cast<uint64_t>(profile.given_prompts_size());
  const uint64_t n_all = n_prompts + static_cast<uint64_t>(causal.control_prompts_size());
  if (n_all <= limits.max_prompts) return absl::OkStatus();
  return InvalidField(
      "control_prompts",
      absl::StrCat(n_all, " prompts with the control prompts, the server allows ", limits.max_prompts));
}

absl::Status CheckCausal(const v1::JobSpec& spec, const SpecLimits& limits) {
  const v1::CausalSpec& causal = spec.causal();
  if (causal.heads_size() > kMaxHeads) {
    return InvalidField("heads",
                        absl::StrCat(causal.heads_size(), " heads given, ", kMaxHeads, " are allowed"));
  }
  std::set<std::pair<uint32_t, uint32_t>> seen;
  for (const v1::HeadRef& head : causal.heads()) {
    if (!seen.emplace(head.layer(), head.head()).second)
      return InvalidField("heads", absl::StrCat("head ", head.layer(), ".", head.head(), " is given twice"));
  }
  return CheckControlPrompts(causal, limits);
}

std::unique_ptr<jobs::Work> MakeCausalWork(const v1::JobSpec& spec, runs::RunRequest request,
                                           const runs::RunEnvironment& environment) {
  const v1::CausalSpec& causal = spec.causal();
  const v1::EvaluationSettings& evaluation = causal.profile().evaluation();
  analysis::CausalOptions options{
      .top_k = evaluation.causal_top_k(),
      .random_k = evaluation.causal_random_k(),
      .random_draws = evaluation.random_draws(),
      .ablation = evaluation.ablation() == "mean" ? analysis::Ablation::kMean : analysis::Ablation::kZero};
  for (const v1::HeadRef& head : causal.heads()) options.heads.push_back({head.layer(), head.head()});
  const auto encode = [](const std::string& model, const analysis::CausalResult& result) {
    return Encode(ToMessage(model, result));
  };
  return runs::NewCausalRun(std::move(request), options, GivenPrompts(causal.control_prompts()), encode,
                            environment);
}

}  // namespace

const JobKind kCausalKind = {.name = "causal", .check = CheckCausal, .make_work = MakeCausalWork};

}  // namespace induct::service
