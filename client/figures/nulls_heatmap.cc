#include "client/figures/nulls_heatmap.h"

#include <algorithm>
#include <cmath>

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

std::string SignificanceText(const v1::AntecedentNull& null) {
  if (!null.has_p_adjusted()) return "too few prompts for a test";
  const auto& p = null.p_adjusted().values();
  const auto n = std::count_if(p.begin(), p.end(), [](double each) { return each <= kSignificant; });
  return absl::StrCat("rings: p <= 0.05, adjusted over all heads (", n, " of ", p.size(), ")");
}

// A dark ring on a light one, to be seen on every colour.
std::string Rings(const std::string& name, int square) {
  const double size = std::clamp(square / 24.0, 0.7, 5.0);
  const auto ring = [&](const char* colour, double width) {
    return absl::StrFormat(
        ", \\\n  '%s.csv' skip 1 using ($6 <= %g ? $2 : NaN):1 with points pt 6 ps %.3g*unit lw %g lc rgb "
        "'%s'",
        name, kSignificant, size, width, colour);
  };
  return absl::StrCat(ring("#ffffff", 3), ring("#000000", 1.2));
}

}  // namespace

std::optional<Figure> NullsHeatmapFigure(const SavedModel& model) {
  const v1::ShuffledAntecedent& shuffled = model.Get<v1::Nulls>()->shuffled_antecedent();
  const bool lag_matched = shuffled.lag_matched().n_copy_ops() > 0;
  const v1::AntecedentNull& null = lag_matched ? shuffled.lag_matched() : shuffled.uniform();
  if (null.n_copy_ops() == 0) return std::nullopt;
  const auto& effect = null.effect().values();
  double furthest = 0;
  for (const double value : effect) furthest = std::max(furthest, std::abs(value));
  if (furthest == 0) furthest = 1;
  const HeadGrid grid{.n_layers = static_cast<int>(null.effect().n_layers()),
                      .n_heads = static_cast<int>(null.effect().n_heads()),
                      .header = "effect,observed,null_mean,p_adjusted",
                      .cells = [&](size_t i) { return Cells(null, i); },
                      .lowest = -furthest,
                      .highest = furthest,
                      .palette = kDiverging,
                      .value_label = "observed - null"};
  const std::string name = absl::StrCat("nulls_heatmap_", model.use.name());
  Figure figure = HeadGridFigure(
      name, grid, null.has_p_adjusted() ? Rings(name, SquarePixels(grid.n_layers, grid.n_heads)) : "");
  figure.title = {
      model.label,
      absl::StrCat(model.Get<v1::Nulls>()->score(), " score beyond ",
                   lag_matched ? "lag-matched" : "uniformly", " shuffled antecedents; ",
                   SignificanceText(null)),
      absl::StrCat(Counted(null.n_prompts(), "prompt"), ", ", Counted(null.n_copy_ops(), "copy operation"),
                   " (", Grouped(null.n_dropped()), " dropped), ", Operations(*model.Get<v1::Nulls>()))};
  return figure;
}

}  // namespace induct::client
