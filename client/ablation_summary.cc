#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/figures/captions.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "client/verdicts.h"

namespace induct::client {
namespace {

std::string DeltaRow(const char* label, bool has, const v1::IntervalEstimate& delta) {
  return has ? Row(label, absl::StrFormat("%+.4f%s", delta.value(), OptionalIntervalInWords(delta))) : "";
}

// The draws of a control, without what they say.
std::string DrawsText(const v1::ControlArm& arm, int n_ablated) {
  if (arm.draws().empty()) return absl::StrCat("no draws: ", Printable(arm.reason()));
  std::string text = Counted(static_cast<uint64_t>(arm.draws_size()), "draw");
  const int n_heads = HeadsOfEachSet(arm);
  if (n_heads != n_ablated) {
    absl::StrAppend(&text, " of ", Counted(static_cast<uint64_t>(n_heads), "head"),
                    " (no p, as that is not the ", n_ablated, " ablated)");
  }
  if (arm.delta_mean().has_copy_nll())
    absl::StrAppendFormat(&text, ", mean delta of copy_nll %+.4f nats", arm.delta_mean().copy_nll());
  return text;
}

// What the controls say: first the test that counts, then the others.
std::string VerdictRows(const v1::Causal& causal) {
  std::string primary, descriptive;
  for (const auto& [label, arm] :
       {std::pair("matched_k: ", &causal.matched_k()), std::pair("random_k: ", &causal.random_k())}) {
    if (!HasPs(*arm)) continue;
    const ControlVerdict verdict = VerdictOf(causal, *arm, "");
    const std::string by_nll = absl::StrCat(label, verdict.copy_nll);
    const std::string by_accuracy = absl::StrCat(
        label, verdict.copy_accuracy, verdict.metrics_disagree ? "; the two metrics disagree" : "");
    if (IsPrimary(causal, *arm)) {
      primary = Row("primary test", by_nll);
    } else {
      descriptive += Row(descriptive.empty() ? "descriptive" : "", by_nll);
    }
    descriptive += Row(descriptive.empty() ? "descriptive" : "", by_accuracy);
  }
  return primary.empty() ? Row("primary test", "none: no control has a p") : primary + descriptive;
}

// The plan's comparison: the mean change without the top heads and without random ones.
std::string CheckRow(const v1::Causal& causal) {
  if (!causal.has_check()) return "";
  return Row(
      "against random heads",
      absl::StrFormat("copy accuracy changes by %+.3f without the %s heads, by %+.3f on average without "
                      "random ones",
                      causal.check().delta_top(), ChosenWord(causal), causal.check().delta_rand()));
}

}  // namespace

std::string AblationRows(const std::string& label, const v1::Causal& causal) {
  const std::string heads =
      absl::StrJoin(causal.top_heads(), ", ", [](std::string* out, const v1::HeadRef& head) {
        absl::StrAppend(out, head.layer(), ".", head.head());
      });
  const v1::AblationDelta& delta = causal.top_k().delta();
  return absl::StrCat(label, ": heads ", heads, " ablated (", causal.ablation(), "), chosen by ",
                      causal.chosen_by(), " on ", Counted(causal.selection_prompts_size(), "prompt"),
                      ", measured on ", causal.evaluation_prompts_size(), "\n",
                      DeltaRow("delta of copy_accuracy", delta.has_copy_accuracy(), delta.copy_accuracy()),
                      DeltaRow("delta of copy_nll", delta.has_copy_nll(), delta.copy_nll()),
                      DeltaRow("delta of other_nll", delta.has_other_nll(), delta.other_nll()),
                      DeltaRow("delta of control_nll", delta.has_control_nll(), delta.control_nll()),
                      Row("matched_k", DrawsText(causal.matched_k(), causal.top_heads_size())),
                      Row("random_k", DrawsText(causal.random_k(), causal.top_heads_size())),
                      CheckRow(causal), delta.has_copy_nll() ? VerdictRows(causal) : "");
}

}  // namespace induct::client
