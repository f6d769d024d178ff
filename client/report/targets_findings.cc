#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/targets_heatmap.h"
#include "client/kinds/targets.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr int kBestHeadsTold = 3;
constexpr int kMostCurves = 8;  // that can be told apart

std::string NameOfHead(int head, const v1::HeadMatrix& matrix) {
  const auto at = static_cast<uint32_t>(head);
  return HeadName(at / matrix.n_heads(), at % matrix.n_heads());
}

std::string IntervalAt(const v1::HeadBand& band, int head) {
  return band.has_ci_low() ? IntervalText(band.ci_low().values(head), band.ci_high().values(head)) : "";
}

std::string InQuotes(const std::string& name) { return absl::StrCat("\"", name, "\""); }

std::string GroupSentence(const std::string& label, const v1::TargetGroup& group) {
  if (group.n_operations() == 0)
    return absl::StrCat("The group ", InQuotes(group.name()), " has no operation.");
  std::vector<std::string> heads;
  for (const int head : BestHeads(group, kBestHeadsTold)) {
    heads.push_back(absl::StrCat(NameOfHead(head, group.scores()), " (", Value(group.scores().values(head)),
                                 IntervalAt(group.heads(), head), ")"));
  }
  return absl::StrCat("In the group ", InQuotes(group.name()), ", ", OperationsText(group),
                      ", the highest heads of ", label, " are ", Enumeration(heads), ".");
}

// Also of those without operations, which have no more than their names.
Table GroupsTable(const v1::Targets& targets) {
  Table table{
      .header = {"group", "operations", "prompts", "weight", "highest head", "score", "95 % interval"}};
  for (const v1::TargetGroup& group : targets.groups()) {
    if (group.n_operations() == 0) {
      table.rows.push_back({group.name(), "0", "0", "-", "-", "-", "-"});
      continue;
    }
    const int best = BestHeads(group, 1).front();
    const v1::HeadBand& band = group.heads();
    table.rows.push_back({group.name(), Grouped(group.n_operations()), Grouped(group.n_prompts()),
                          absl::StrFormat("%.6g", group.weight()), NameOfHead(best, group.scores()),
                          Value(group.scores().values(best)),
                          band.has_ci_low() ? absl::StrCat(Value(band.ci_low().values(best)), " to ",
                                                           Value(band.ci_high().values(best)))
                                            : "-"});
  }
  return table;
}

Chart GroupChart(const SavedModel& model, const v1::TargetGroup& group) {
  return ScoresChart({model.label, group.name(), group.scores(), group.heads()},
                     absl::StrCat("Mean attention of every head of ", model.label, " in the group ",
                                  group.name(), ". Each row is a layer, the first at the bottom."),
                     absl::StrCat(GroupFigureName(group), ".png"));
}

std::string ContrastSentence(const v1::TargetContrast& contrast) {
  const std::string name = ContrastName(contrast);
  if (!contrast.has_difference())
    return absl::StrCat("There is no contrast ", name, ": one of the two has no operation.");
  const int head = FurthestHead(contrast);
  std::string text =
      absl::StrCat("Contrast ", name, ": ", ContrastVerdict(contrast), ". The largest difference is that of ",
                   NameOfHead(head, contrast.difference()), ", ", Signed(contrast.difference().values(head)),
                   IntervalAt(contrast.heads(), head));
  if (contrast.has_heads()) text += " (the interval is not adjusted for its choice)";
  if (!contrast.has_p_adjusted()) return text + ".";
  return absl::StrCat(text, "; the prompts' own differences are ",
                      Signed(contrast.prompt_effect().values(head)), " on average, ",
                      PText(contrast.p_adjusted().values(head)), ". To be exact, ", ContrastBasis(contrast),
                      ".");
}

Chart ContrastChart(const SavedModel& model, int index) {
  const v1::Targets& targets = *model.Get<v1::Targets>();
  const v1::TargetContrast& contrast = targets.contrasts(index);
  const std::string name = ContrastName(contrast);
  return DifferencesChart(
      {.title = absl::StrCat(model.label, ": ", name),
       .observed_label = contrast.group_a(),
       .other_label = contrast.group_b(),
       .difference = contrast.difference(),
       .observed = GroupNamed(targets, contrast.group_a()).scores(),
       .other = GroupNamed(targets, contrast.group_b()).scores(),
       .ci_low = contrast.heads().ci_low(),
       .ci_high = contrast.heads().ci_high(),
       .p = contrast.p_adjusted()},
      absl::StrCat("Difference of mean attention, ", name, ", of every head of ", model.label,
                   contrast.has_p_adjusted() ? "; marked: p <= 0.05, adjusted over all heads." : "."),
      absl::StrCat(ContrastFigureName(model, index), ".png"));
}

// The groups' curves over layers in one chart; none where they are too many to be told apart.
void AddCurves(const SavedModel& model, Findings* findings) {
  const v1::Targets& targets = *model.Get<v1::Targets>();
  std::vector<LayerCurve> curves;
  for (const v1::TargetGroup& group : targets.groups()) {
    if (group.n_operations() > 0) curves.push_back({group.name(), group.per_layer(), group.band()});
  }
  if (curves.empty() || curves.size() > kMostCurves) return;
  findings->blocks.push_back(CurvesChart(
      curves,
      absl::StrCat("mean attention of the highest ", targets.n_heads_kept(), " of ", targets.n_heads(),
                   " heads"),
      absl::StrCat("Attention of ", model.label, " by layer, group by group: the mean of each layer's ",
                   targets.n_heads_kept() == targets.n_heads() ? "heads" : "highest heads, each group's own",
                   ".")));
}

void AddTargetsLimits(const SavedModel& model, Findings* findings) {
  findings->limits.push_back(absl::StrCat(
      model.label,
      ": best heads of groups and largest differences were chosen as such: their level is too high, "
      "and intervals do not account for it."));
  const v1::TargetGroup* smallest = nullptr;
  for (const v1::TargetGroup& group : model.Get<v1::Targets>()->groups()) {
    const bool smaller = smallest == nullptr || group.n_prompts() < smallest->n_prompts();
    if (group.has_heads() && smaller) smallest = &group;
  }
  if (smallest == nullptr || smallest->n_prompts() >= kFewPrompts) return;
  findings->limits.push_back(FewPrompts(
      absl::StrCat("the group ", InQuotes(smallest->name()), " of ", model.label), smallest->n_prompts()));
}

}  // namespace

Findings TargetsFindings(const ShownResult& of, const std::vector<SavedRun>&) {
  const SavedModel& model = *of.model;
  const v1::Targets& targets = *model.Get<v1::Targets>();
  Findings findings;
  findings.blocks.push_back(GroupsTable(targets));
  for (const v1::TargetGroup& group : targets.groups()) {
    findings.blocks.push_back(Paragraph{GroupSentence(model.label, group)});
    if (group.n_operations() > 0) findings.blocks.push_back(GroupChart(model, group));
  }
  AddCurves(model, &findings);
  AddTargetsLimits(model, &findings);
  for (int i = 0; i < targets.contrasts_size(); ++i) {
    findings.blocks.push_back(Paragraph{ContrastSentence(targets.contrasts(i))});
    if (targets.contrasts(i).has_difference()) findings.blocks.push_back(ContrastChart(model, i));
  }
  return findings;
}

}  // namespace induct::client
