#include "client/figures/targets_heatmap.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "client/figures/colours.h"
#include "client/figures/head_grid.h"
#include "client/kinds/targets.h"
#include "client/text.h"
#include "common/file_names.h"

namespace induct::client {
namespace {

constexpr size_t kLongestNameInFile = 60;  // of a group: two of them and the model's fit into a file's name

std::string ShortName(const std::string& group) { return PlainFileName(group).substr(0, kLongestNameInFile); }

Figure GroupHeatmap(const SavedModel& model, const v1::TargetGroup& group) {
  const auto& scores = group.scores().values();
  const HeadGrid grid{.n_layers = static_cast<int>(group.scores().n_layers()),
                      .n_heads = static_cast<int>(group.scores().n_heads()),
                      .header = "score",
                      .cells = [&](size_t i) { return absl::StrFormat("%.9g", scores[static_cast<int>(i)]); },
                      .highest = *std::max_element(scores.begin(), scores.end()),
                      .palette = kViridis,
                      .value_label = "mean attention"};
  Figure figure = HeadGridFigure(GroupFigureName(group), grid, "");
  figure.title = {model.label, absl::StrCat("attention per head: ", group.name()), OperationsText(group)};
  return figure;
}

std::string ContrastCells(const v1::TargetContrast& contrast, size_t i) {
  const auto cell = [&](const v1::HeadMatrix& matrix) {
    return matrix.values().empty() ? "" : absl::StrFormat("%.9g", matrix.values(static_cast<int>(i)));
  };
  return absl::StrCat(cell(contrast.difference()), ",", cell(contrast.heads().ci_low()), ",",
                      cell(contrast.heads().ci_high()), ",", cell(contrast.prompt_effect()), ",",
                      cell(contrast.p_adjusted()));
}

Figure ContrastHeatmap(const SavedModel& model, const v1::TargetContrast& contrast, const std::string& name) {
  const double furthest = FurthestFromZero(contrast.difference().values());
  const HeadGrid grid{.n_layers = static_cast<int>(contrast.difference().n_layers()),
                      .n_heads = static_cast<int>(contrast.difference().n_heads()),
                      .header = "difference,ci_low,ci_high,prompt_effect,p_adjusted",
                      .cells = [&](size_t i) { return ContrastCells(contrast, i); },
                      .lowest = -furthest,
                      .highest = furthest,
                      .palette = kDiverging,
                      .value_label = "difference of mean attention"};
  Figure figure =
      HeadGridFigure(name, grid, contrast.has_p_adjusted() ? SignificanceRings(name, grid, 7) : "");
  figure.title = {model.label,
                  absl::StrCat(ContrastName(contrast), "; ", SignificanceText(contrast.p_adjusted())),
                  absl::StrCat(Counted(contrast.n_prompts(), "prompt"), " with operations of both")};
  return figure;
}

}  // namespace

std::string GroupFigureName(const v1::TargetGroup& group) {
  return std::string(absl::StripSuffix(group.file(), ".npy"));
}

std::string ContrastFigureName(const SavedModel& model, int index) {
  std::set<std::string> taken;
  std::string name;
  const auto& contrasts = model.Get<v1::Targets>()->contrasts();
  for (int i = 0; i <= index; ++i) {
    const std::string plain =
        absl::StrCat("contrast_", model.use.name(), "_", ShortName(contrasts[i].group_a()), "_",
                     ShortName(contrasts[i].group_b()));
    name = plain;
    for (int number = 2; !taken.insert(name).second; ++number) name = absl::StrCat(plain, "-", number);
  }
  return name;
}

std::vector<Figure> TargetsFigures(const SavedModel& model) {
  const v1::Targets& targets = *model.Get<v1::Targets>();
  std::vector<Figure> figures;
  for (const v1::TargetGroup& group : targets.groups()) {
    if (group.n_operations() > 0) figures.push_back(GroupHeatmap(model, group));
  }
  for (int i = 0; i < targets.contrasts_size(); ++i) {
    if (targets.contrasts(i).has_difference())
      figures.push_back(ContrastHeatmap(model, targets.contrasts(i), ContrastFigureName(model, i)));
  }
  return figures;
}

}  // namespace induct::client
