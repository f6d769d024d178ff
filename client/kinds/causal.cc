#include "client/kinds/causal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/figures/captions.h"
#include "client/figures/causal_delta.h"
#include "client/given_prompts.h"
#include "client/heads.h"
#include "client/kinds/checks.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "client/verdicts.h"
#include "common/file_names.h"
#include "common/status.h"
#include "induct/v1/causal.pb.h"

namespace induct::client {
namespace {

using google::protobuf::Message;
using Heads = google::protobuf::RepeatedPtrField<v1::HeadRef>;

std::string HeadsText(const Heads& heads, const char* separator) {
  return absl::StrJoin(heads, separator, [](std::string* out, const v1::HeadRef& head) {
    absl::StrAppend(out, HeadText(head));
  });
}

absl::Status ApplyHeads(const std::vector<std::string>& values, v1::JobSpec* spec) {
  for (const absl::string_view text : absl::StrSplit(values.front(), ',')) {
    INDUCT_ASSIGN_OR_RETURN(*spec->mutable_causal()->add_heads(), ParseHead("--heads", std::string(text)));
  }
  return absl::OkStatus();
}

absl::Status ApplyControlPrompts(const std::vector<std::string>& values, v1::JobSpec* spec) {
  return ReadPromptFile(values.front(), ControlPrompts(), spec->mutable_causal());
}

// Random sets of as many heads as are ablated, which alone have a p, where the user says how many are ablated
// and nowhere how many a random set has.
absl::Status MatchRandomSets(const Settings& settings, v1::JobSpec* spec) {
  if (settings.IsSet("evaluation.causal_random_k")) return absl::OkStatus();
  v1::EvaluationSettings* evaluation = spec->mutable_causal()->mutable_profile()->mutable_evaluation();
  if (!spec->causal().heads().empty()) {
    evaluation->set_causal_random_k(static_cast<uint32_t>(spec->causal().heads_size()));
  } else if (evaluation->has_causal_top_k()) {
    evaluation->set_causal_random_k(evaluation->causal_top_k());
  }
  return absl::OkStatus();
}

std::vector<std::string> CausalFlags(const v1::JobSpec& spec, const std::string& model) {
  std::vector<std::string> flags;
  if (spec.causal().n_control_prompts() > 0)
    flags.push_back(absl::StrCat("--control_prompts RUN/", ControlPromptsFile(model)));
  if (!spec.causal().heads().empty())
    flags.push_back(absl::StrCat("--heads ", HeadsText(spec.causal().heads(), ",")));
  return flags;
}

absl::Status CheckCausal(const Message& result, ModelSize) {
  const auto& causal = As<v1::Causal>(result);
  const bool whole = causal.has_baseline() && causal.has_top_k() && causal.has_random_k() &&
                     causal.has_matched_k() && causal.has_selection_scores();
  return whole ? absl::OkStatus() : absl::DataLossError("it lacks an arm");
}

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

std::string AblationRows(const std::string& label, const v1::Causal& causal) {
  const std::string heads = HeadsText(causal.top_heads(), ", ");
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

std::vector<Figure> CausalFigures(const ShownResult& of) {
  std::optional<Figure> figure = CausalDeltaFigure(*of.model);
  return figure.has_value() ? std::vector<Figure>{*std::move(figure)} : std::vector<Figure>();
}

}  // namespace

AnalysisKind CausalKind() {
  return {
      .field = v1::JobSpec::kCausalFieldNumber,
      .commands = {{.name = "causal",
                    .help = "Ablate the top heads against controls: what becomes of copying?"}},
      .flags =
          {{.name = "--heads",
            .type_name = "L.H,L.H,...",
            .help =
                "Ablate these heads, LAYER.HEAD from 0, instead of the best of the selection half; random "
                "sets get as many heads unless --causal_random_k says otherwise, as with --causal_top_k",
            .excludes = "--causal_top_k",
            .apply = ApplyHeads},
           {.name = "--control_prompts",
            .type_name = "FILE",
            .help = "Texts to measure specificity on: .txt, one a line, or .jsonl",
            .apply = ApplyControlPrompts,
            .records = &ControlPrompts()}},
      .topics = {"scores", "intervals", "ablation"},
      .complete = MatchRandomSets,
      .flags_to_repeat = CausalFlags,
      .result = {.name = CausalFile, .prototype = &v1::Causal::default_instance(), .check = CheckCausal},
      .summary =
          [](const ShownResult& of) {
            return AblationRows(Printable(of.model->label), *of.model->Get<v1::Causal>());
          },
      .has_intervals = [](const Message& result) { return As<v1::Causal>(result).resamples() > 0; },
      .prompts_of_intervals =
          [](const Message& result) {
            return static_cast<uint32_t>(As<v1::Causal>(result).evaluation_prompts_size());
          },
      .figures = CausalFigures,
      .title = "Causal ablation",
      .question = "Does copying need these heads?",
      .definitions =
          {kIntervalsDefinition,
           "Causal ablation: heads are ranked on one half of the prompts and ablated on the other. Copy "
           "accuracy and copy NLL are over positions whose token follows the same token as earlier in "
           "the prompt; p compares with random sets of heads, one-sided; that against sets of the same "
           "layers by copy NLL (against random ones where there are no such sets) is the primary one, "
           "the others are descriptive."},
      .suggestion =
          "induct-client causal --model NAME --task_types RANDOM: does copying need the best heads?",
      .findings = CausalFindings};
}

}  // namespace induct::client
