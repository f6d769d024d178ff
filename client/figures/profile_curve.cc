#include "client/figures/profile_curve.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/script.h"

namespace induct::client {
namespace {

constexpr int kCurveWidth = 1400;
constexpr int kCurveHeight = 1200;
constexpr int kMaxCurveLabels = 16;

bool CurveHasBand(const v1::Profile& profile) {
  const auto& band = profile.bootstrap().per_layer();
  return profile.has_bootstrap() && band.ci_low_size() == profile.per_layer_size() &&
         band.ci_high_size() == profile.per_layer_size();
}

// One row a layer; the band's columns repeat the curve where there is none.
std::string CurveCsv(const v1::Profile& profile) {
  const bool band = CurveHasBand(profile);
  std::string csv = "layer,depth,score,ci_low,ci_high\n";
  for (int layer = 0; layer < profile.per_layer_size(); ++layer) {
    const double score = profile.per_layer(layer);
    const double low = band ? profile.bootstrap().per_layer().ci_low(layer) : score;
    const double high = band ? profile.bootstrap().per_layer().ci_high(layer) : score;
    absl::StrAppendFormat(&csv, "%d,%.9g,%.9g,%.9g,%.9g\n", layer, (layer + 0.5) / profile.per_layer_size(),
                          score, low, high);
  }
  return csv;
}

double HighestOfCurve(const v1::Profile& profile) {
  double highest = *std::max_element(profile.per_layer().begin(), profile.per_layer().end());
  if (CurveHasBand(profile)) {
    const auto& high = profile.bootstrap().per_layer().ci_high();
    highest = std::max(highest, *std::max_element(high.begin(), high.end()));
  }
  return highest > 0 ? highest : 1;
}

// The peak's caption in the key: layer, and the interval of its depth where it has any width.
std::string PeakLabel(const v1::Profile& profile) {
  std::string label =
      absl::StrFormat("peak: layer %d, depth %.3f", profile.peak_layer(), profile.peak_depth());
  if (!profile.has_bootstrap() || !profile.bootstrap().has_peak_depth()) return label;
  const v1::BootstrapEstimate& depth = profile.bootstrap().peak_depth();
  if (depth.ci_low() == depth.ci_high()) return label;
  return absl::StrCat(label, IntervalText(depth.ci_low(), depth.ci_high()));
}

std::string CentroidLabel(const v1::Profile& profile) {
  std::string label = absl::StrFormat("centroid: depth %.3f", profile.centroid_rel());
  if (!profile.has_bootstrap() || !profile.bootstrap().has_centroid_rel()) return label;
  const v1::BootstrapEstimate& centroid = profile.bootstrap().centroid_rel();
  return absl::StrCat(label, IntervalText(centroid.ci_low(), centroid.ci_high()));
}

// A vertical line at a layer's position, as a plot element so that the key explains it.
std::string VerticalLine(double layer, double top, const std::string& style, const std::string& label) {
  return absl::StrFormat(
      "'+' using (%.6g):(0):(0):(%.6g) every ::0::0 with vectors nohead %s title %s, \\\n  ", layer, top,
      style, GnuplotString(label));
}

// The band lies below the lines, the curve above them: on one layer it is a single point on the peak's line.
std::string CurvePlot(const v1::Profile& profile, const std::string& name, double top) {
  std::string plot = absl::StrCat(kKeyBelow, "set ylabel font small\nplot ");
  const std::string data = absl::StrCat("'", name, ".csv' skip 1 using ");
  if (CurveHasBand(profile)) {
    absl::StrAppend(&plot, data, "1:4:5 with filledcurves lc rgb '", kBlue,
                    "' fs transparent solid 0.25 noborder title '95 % interval, pointwise (bootstrap over "
                    "prompts)', \\\n  ");
  }
  if (profile.has_peak_layer()) {
    plot += VerticalLine(profile.peak_layer(), top, absl::StrCat("lw 1.2 lc rgb '", kVermillion, "'"),
                         PeakLabel(profile));
  }
  if (profile.has_centroid_rel()) {
    plot += VerticalLine(profile.centroid_rel() * profile.n_layers() - 0.5, top,
                         absl::StrCat("lw 1.2 dt 2 lc rgb '", kGreen, "'"), CentroidLabel(profile));
  }
  if (CurveHasBand(profile) && profile.per_layer_size() == 1) {  // a band of one point has no width
    absl::StrAppend(&plot, data, "1:3:4:5 with yerrorbars lw 2 lc rgb '", kBlue, "' notitle, \\\n  ");
  }
  return absl::StrCat(plot, data, "1:3 with linespoints lw 1.5 pt 7 ps 0.7*unit lc rgb '", kBlue,
                      "' title 'score'\n");
}

}  // namespace

Figure ProfileCurveFigure(const SavedModel& model) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  const int n_layers = profile.per_layer_size();
  Figure figure{
      .name = absl::StrCat("profile_", model.use.name()),
      .csv = CurveCsv(profile),
      .title = {model.label, absl::StrCat(profile.score(), " profile over layers"), MeasuredOn(profile)},
      .width = kCurveWidth,
      .height = kCurveHeight};
  const double top = HighestOfCurve(profile) * 1.08;
  // Both axes show the same positions: layer l stands at relative depth (l + 0.5) / n_layers.
  figure.settings = absl::StrCat(
      "set title offset 0,0.4\n", "set xlabel 'layer'\nset x2label 'relative depth'\nset ylabel ",
      GnuplotString(ScoreOfKeptHeads(profile)), "\n", "set xrange [-0.5:", n_layers,
      "-0.5]\nset x2range [0:1]\n", "set xtics out nomirror 0,", TickStep(n_layers, kMaxCurveLabels),
      "\nset x2tics out nomirror 0,0.1\nset ytics out nomirror\n",
      "set yrange [0:", absl::StrFormat("%.6g", top), "]\nset border 7\n",
      "set format '%g'\nset grid ytics lc rgb '#cccccc' lw 0.5\nset samples 2\n");
  figure.plot = CurvePlot(profile, figure.name, top);
  return figure;
}

}  // namespace induct::client
