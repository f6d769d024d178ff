#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/heads.h"
#include "client/kinds/causal.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/text.h"
#include "client/verdicts.h"

namespace induct::client {
namespace {

constexpr int kHeadsNamed = 8;
constexpr double kCopies = 0.1;  // copy accuracy below which a model is told to copy hardly at all

std::string HeadList(const google::protobuf::RepeatedPtrField<v1::HeadRef>& heads) {
  std::vector<std::string> names;
  for (const v1::HeadRef& head : heads) {
    if (static_cast<int>(names.size()) == kHeadsNamed) {
      names.push_back(absl::StrCat(heads.size() - kHeadsNamed, " more"));
      break;
    }
    names.push_back(HeadText(head));
  }
  return Enumeration(names);
}

std::string WhatWasDone(const std::string& label, const v1::Causal& causal) {
  const auto count = [](int n) { return Counted(static_cast<uint64_t>(n), "prompt"); };
  const std::string heads = absl::StrCat(Counted(static_cast<uint64_t>(causal.top_heads_size()), "head"),
                                         " of ", label, " (layer.head: ", HeadList(causal.top_heads()), ")");
  const std::string ablated =
      absl::StrCat(causal.top_heads_size() == 1 ? "was" : "were", " ablated (", causal.ablation(), ") on ");
  const int n_evaluation = causal.evaluation_prompts_size();
  if (causal.chosen_by() == "user")
    return absl::StrCat(heads, ", given by the user, ", ablated, count(n_evaluation), ".");
  return absl::StrCat(heads, ", the best ", causal.score(), " scores of ",
                      count(causal.selection_prompts_size()), " set aside for the choice, ", ablated,
                      Grouped(static_cast<uint64_t>(n_evaluation)),
                      n_evaluation == 1 ? " other." : " others.");
}

std::string Change(const char* what, double baseline, const v1::IntervalEstimate& delta, const char* unit) {
  return absl::StrCat(what, " changes by ", Signed(delta.value()), unit, OptionalInterval(delta), " from ",
                      Value(baseline));
}

std::string Changes(const v1::Causal& causal) {
  const v1::AblationMetrics& baseline = causal.baseline().metrics();
  const v1::AblationDelta& delta = causal.top_k().delta();
  std::vector<std::string> changes;
  if (delta.has_copy_accuracy())
    changes.push_back(Change("copy accuracy", baseline.copy_accuracy(), delta.copy_accuracy(), ""));
  if (delta.has_copy_nll())
    changes.push_back(Change("copy NLL", baseline.copy_nll(), delta.copy_nll(), " nats"));
  if (delta.has_other_nll())
    changes.push_back(Change("NLL elsewhere", baseline.other_nll(), delta.other_nll(), " nats"));
  if (delta.has_control_nll())
    changes.push_back(
        Change("NLL of the control texts", baseline.control_nll(), delta.control_nll(), " nats"));
  return absl::StrCat("Without them ", Enumeration(changes), ".");
}

void AddControl(const char* sets, const v1::Causal& causal, const v1::ControlArm& arm, Findings* findings) {
  if (arm.draws().empty()) {
    findings->blocks.push_back(
        Paragraph{absl::StrCat("There is no comparison with ", sets, ": ", arm.reason(), ".")});
    return;
  }
  if (!HasPs(arm)) {
    findings->blocks.push_back(Paragraph{
        absl::StrCat("There is no p against ", sets, ": they have another size than the ablated set.")});
    return;
  }
  const ControlVerdict verdict = VerdictOf(causal, arm, sets);
  findings->blocks.push_back(Paragraph{absl::StrCat(
      IsPrimary(causal, arm) ? "The primary test: " : "Descriptive, not adjusted: ", verdict.copy_nll,
      IsPrimary(causal, arm) ? ". Descriptive, not adjusted: " : "; ", verdict.copy_accuracy, ".",
      verdict.metrics_disagree ? " The two metrics disagree." : "")});
}

void AddCausalLimits(const std::string& label, const v1::Causal& causal, Findings* findings) {
  if (causal.resamples() == 0)
    findings->limits.push_back(
        absl::StrCat(label, ": the changes have no intervals, as no resamples were drawn."));
  const auto n_prompts = static_cast<uint64_t>(causal.evaluation_prompts_size());
  if (n_prompts < kFewPrompts)
    findings->limits.push_back(FewPrompts(absl::StrCat("the ablation of heads of ", label), n_prompts));
  for (const auto& [name, arm] : {std::pair("random heads", &causal.random_k()),
                                  std::pair("as many heads of the same layers", &causal.matched_k())}) {
    if (!arm->has_smallest_p() || !arm->has_p_copy_nll()) continue;
    const bool at_smallest = std::min(arm->p_copy_nll(), arm->p_copy_accuracy()) <= arm->smallest_p();
    if (!at_smallest && arm->smallest_p() <= kSignificant) continue;
    findings->limits.push_back(
        absl::StrFormat("%s: %s of %s allow no p below %.2g; %s.", label,
                        Counted(static_cast<uint64_t>(arm->draws_size()), "set"), name, arm->smallest_p(),
                        arm->n_possible() > arm->draws_size() ? "more draws (--draws) can tell more"
                                                              : "there are no others"));
  }
  const v1::AblationMetrics& baseline = causal.baseline().metrics();
  if (baseline.has_copy_accuracy() && baseline.copy_accuracy() < kCopies) {
    findings->limits.push_back(
        absl::StrFormat("%s: the unablated model copies at %.3f of the predictable positions only, so there "
                        "is hardly any copying to lose.",
                        label, baseline.copy_accuracy()));
  }
  if (causal.ablation() == "zero")
    findings->limits.push_back(
        absl::StrCat(label,
                     ": zero ablation takes a head's mean output away, too, which the model may rely on; "
                     "--ablation mean keeps it."));
  if (!causal.top_k().delta().has_control_nll())
    findings->next_steps.push_back(
        absl::StrCat("Give ordinary texts with --control_prompts to see whether ablating these heads of ",
                     label, " harms copying alone."));
}

}  // namespace

Findings CausalFindings(const ShownResult& of, const std::vector<SavedRun>&) {
  const SavedModel& model = *of.model;
  const v1::Causal& causal = *model.Get<v1::Causal>();
  Findings findings;
  findings.blocks.push_back(Paragraph{WhatWasDone(model.label, causal)});
  if (causal.top_k().delta().has_copy_nll()) {
    findings.blocks.push_back(Paragraph{Changes(causal)});
    AddControl("as many heads of the same layers", causal, causal.matched_k(), &findings);
    AddControl("random heads", causal, causal.random_k(), &findings);
  } else {
    findings.blocks.push_back(Paragraph{
        "No position of these prompts is predictable (no pair of tokens comes back as the antecedents "
        "ask), so nothing can be said about copying."});
  }
  if (causal.top_k().delta().has_copy_nll() || causal.top_k().delta().has_other_nll())
    findings.blocks.push_back(AblationChart(model));
  AddCausalLimits(model.label, causal, &findings);
  return findings;
}

}  // namespace induct::client
