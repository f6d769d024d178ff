#include "client/figures/nulls_heatmap.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/head_grid.h"
#include "client/text.h"

namespace induct::client {
namespace {

std::string Cells(const v1::AntecedentNull& null, size_t i) {
  const int at = static_cast<int>(i);
  std::string cells = absl::StrFormat("%.9g,%.9g,%.9g,", null.effect().values(at), null.observed().values(at),
                                      null.null_mean().values(at));
  if (null.has_p_adjusted()) absl::StrAppendFormat(&cells, "%.9g", null.p_adjusted().values(at));
  return cells;
}

}  // namespace

std::optional<Figure> NullsHeatmapFigure(const SavedModel& model) {
  const v1::ShuffledAntecedent& shuffled = model.Get<v1::Nulls>()->shuffled_antecedent();
  const bool lag_matched = shuffled.lag_matched().n_copy_ops() > 0;
  const v1::AntecedentNull& null = lag_matched ? shuffled.lag_matched() : shuffled.uniform();
  if (null.n_copy_ops() == 0) return std::nullopt;
  const auto& effect = null.effect().values();
  const double furthest = FurthestFromZero(effect);
  const HeadGrid grid{.n_layers = static_cast<int>(null.effect().n_layers()),
                      .n_heads = static_cast<int>(null.effect().n_heads()),
                      .header = "effect,observed,null_mean,p_adjusted",
                      .cells = [&](size_t i) { return Cells(null, i); },
                      .lowest = -furthest,
                      .highest = furthest,
                      .palette = kDiverging,
                      .value_label = "observed - null"};
  const std::string name = absl::StrCat("nulls_heatmap_", model.use.name());
  Figure figure = HeadGridFigure(name, grid, null.has_p_adjusted() ? SignificanceRings(name, grid, 6) : "");
  figure.title = {
      model.label,
      absl::StrCat(model.Get<v1::Nulls>()->score(), " score beyond ",
                   lag_matched ? "lag-matched" : "uniformly", " shuffled antecedents; ",
                   SignificanceText(null.p_adjusted())),
      absl::StrCat(Counted(null.n_prompts(), "prompt"), ", ", Counted(null.n_copy_ops(), "copy operation"),
                   " (", Grouped(null.n_dropped()), " dropped), ", Operations(*model.Get<v1::Nulls>()))};
  return figure;
}

}  // namespace induct::client
