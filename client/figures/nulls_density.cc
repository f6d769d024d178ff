#include "client/figures/nulls_density.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/script.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr int kDensityWidth = 1400;
constexpr int kDensityHeight = 1200;
constexpr int kMaxDensityLabels = 16;

std::string DensityCsv(const v1::HeadPermutation& heads) {
  std::string csv = "layer,observed_density,null_mean,band_low,band_high,p_adjusted\n";
  for (int layer = 0; layer < heads.observed_density_size(); ++layer) {
    const std::string p = heads.p_adjusted().empty() ? "" : absl::StrFormat("%.9g", heads.p_adjusted(layer));
    absl::StrAppendFormat(&csv, "%d,%.9g,%.9g,%.9g,%.9g,%s\n", layer, heads.observed_density(layer),
                          heads.null_mean(layer), heads.band_low(layer), heads.band_high(layer), p);
  }
  return csv;
}

double HighestDensity(const v1::HeadPermutation& heads) {
  double highest = heads.max_quantile();
  for (const double density : heads.observed_density()) highest = std::max(highest, density);
  for (const double high : heads.band_high()) highest = std::max(highest, high);
  return highest > 0 ? highest : 1;
}

std::string SpreadText(const v1::HeadPermutation& heads) {
  if (!heads.has_depth_spread()) return "fewer than 2 high heads: no spread of depth";
  const v1::DepthSpread& spread = heads.depth_spread();
  return absl::StrFormat("their spread of depth: %.3f, when permuted %.3f, %s", spread.observed(),
                         spread.null_mean(), PText(spread.p()));
}

std::string DensityPlot(const v1::HeadPermutation& heads, const std::string& name, double top) {
  const std::string data = absl::StrCat("'", name, ".csv' skip 1 using ");
  // The boxes of neighbours overlap a little, or the paper would shine through.
  std::string plot = absl::StrCat(
      kKeyBelow, "plot ", data,
      "1:3:($1-0.505):($1+0.505):4:5 with boxxyerror lc rgb '#c8c8c8' fs solid 1 noborder ",
      "title 'permuted: 5 % to 95 % of each layer', \\\n  ", data,
      "($1-0.5):3:(1):(0) with vectors nohead lw 1.2 lc rgb '", kGrey, "' title 'permuted: mean', \\\n  ");
  absl::StrAppendFormat(
      &plot, "%.9g with lines lw 1.2 dt 2 lc rgb '%s' title 'permuted: 95 %% of the largest layer', \\\n  ",
      heads.max_quantile(), kVermillion);
  absl::StrAppend(&plot, data, "1:2 with linespoints lw 1.5 pt 7 ps unit lc rgb '", kBlue,
                  "' title 'observed'");
  const auto& p = heads.p_adjusted();
  if (std::any_of(p.begin(), p.end(), [](double each) { return each <= kSignificant; })) {
    absl::StrAppendFormat(
        &plot,
        ", \\\n  %s($6 <= %g ? $1 : NaN):($2 + %.6g) with points pt 3 ps 2*unit lw 1.2 lc rgb '%s' "
        "title 'p <= %g, adjusted over layers'",
        data, kSignificant, top * 0.05, kVermillion, kSignificant);
  }
  return plot + "\n";
}

}  // namespace

Figure NullsDensityFigure(const SavedModel& model) {
  const v1::Nulls& nulls = *model.Get<v1::Nulls>();
  const v1::HeadPermutation& heads = nulls.head_permutation();
  const int n_layers = heads.observed_density_size();
  const double top = HighestDensity(heads) * 1.12;
  Figure figure{.name = absl::StrCat("nulls_", model.use.name()),
                .csv = DensityCsv(heads),
                .width = kDensityWidth,
                .height = kDensityHeight};
  figure.title = {model.label,
                  absl::StrFormat("high heads: %s score above its %g quantile, %.3g; %s", nulls.score(),
                                  nulls.high_score_quantile(), heads.threshold(), SpreadText(heads)),
                  absl::StrCat(Counted(heads.resamples(), "permutation"),
                               " of heads over all places (those that share keys and values together)")};
  figure.settings =
      absl::StrCat("set xlabel 'layer'\nset ylabel 'share of high heads'\n",
                   absl::StrFormat("set xrange [-0.5:%d-0.5]\nset yrange [0:%.6g]\n", n_layers, top),
                   "set xtics out nomirror 0,", TickStep(n_layers, kMaxDensityLabels),
                   "\nset ytics out nomirror\nset border 3\n", "set format '%g'\nset samples 2\n");
  figure.plot = DensityPlot(heads, figure.name, top);
  return figure;
}

}  // namespace induct::client
