#include "client/figures/depth_overlay.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/csv_blocks.h"
#include "client/figures/script.h"

namespace induct::client {
namespace {

constexpr int kOverlayWidth = 1400;
constexpr int kOverlayHeight = 1000;
constexpr std::array kPointTypes = {7, 5, 9, 11, 13, 6, 4, 8, 10, 12};
constexpr int kMaxPoints = 8;  // on a curve; more hide its line

bool HasBand(const DepthCurve& curve) { return !curve.band.ci_low().empty(); }

std::string Rows(const DepthCurve& curve) {
  std::string rows;
  for (size_t layer = 0; layer < curve.values.size(); ++layer) {
    absl::StrAppendFormat(&rows, "%s,%d,%.9g,%.9g,", curve.name, layer,
                          (static_cast<double>(layer) + 0.5) / static_cast<double>(curve.values.size()),
                          curve.values[layer]);
    const int at = static_cast<int>(layer);
    absl::StrAppend(
        &rows,
        HasBand(curve) ? absl::StrFormat("%.9g,%.9g", curve.band.ci_low(at), curve.band.ci_high(at)) : ",",
        "\n");
  }
  return rows;
}

double HighestOfCurves(const std::vector<DepthCurve>& curves) {
  double highest = 0;
  for (const DepthCurve& curve : curves) {
    for (const double value : curve.values) highest = std::max(highest, value);
    for (const double value : curve.band.ci_high()) highest = std::max(highest, value);
  }
  return highest > 0 ? highest : 1;
}

// The plot elements of one figure, gathered by what lies below what.
struct Layers {
  std::string bands, lines, marks;
};

void AddCurve(const DepthCurve& curve, size_t number, const std::string& data, double top, double opacity,
              Layers* layers) {
  const char* colour = kSeriesColours[number % kSeriesColours.size()];
  const int dashes = static_cast<int>(number / kSeriesColours.size() % 5) + 1;
  const int point = kPointTypes[number % kPointTypes.size()];
  const int n_layers = static_cast<int>(curve.values.size());
  if (HasBand(curve) && n_layers == 1) {  // a band of one point has no width
    absl::StrAppendFormat(&layers->bands,
                          "%s3:4:5:6 with yerrorbars pt %d ps unit lw 1.2 lc rgb '%s' notitle, \\\n  ", data,
                          point, colour);
  } else if (HasBand(curve)) {
    absl::StrAppendFormat(
        &layers->bands,
        "%s3:5:6 with filledcurves lc rgb '%s' fs transparent solid %g noborder notitle, \\\n  ", data,
        colour, opacity);
  }
  if (curve.centroid.has_value()) {
    absl::StrAppendFormat(&layers->bands,
                          "'+' using (%.6g):(0):(0):(%.6g) every ::0::0 with vectors nohead lw 1 dt 2 lc rgb "
                          "'%s' notitle, \\\n  ",
                          *curve.centroid, top, colour);
  }
  absl::StrAppendFormat(
      &layers->lines, "%s3:4 with linespoints lw 1.5 dt %d pt %d ps unit pi %d lc rgb '%s' title %s, \\\n  ",
      data, dashes, point, (n_layers + kMaxPoints - 1) / kMaxPoints, colour, GnuplotString(curve.label));
  if (curve.peak.has_value()) {
    absl::StrAppendFormat(&layers->marks,
                          ", \\\n  '+' using (%.9g):(%.9g) every ::0::0 with points pt %d ps 2.4*unit "
                          "lw 1.5 lc rgb '%s' notitle",
                          (*curve.peak + 0.5) / n_layers, curve.values[static_cast<size_t>(*curve.peak)],
                          point, colour);
  }
}

}  // namespace

Figure DepthOverlayFigure(const std::string& name, const std::vector<DepthCurve>& curves,
                          const std::string& value_label) {
  CsvBlocks csv(name, "curve,layer,depth,score,ci_low,ci_high");
  const double top = HighestOfCurves(curves) * 1.08;
  const double opacity = curves.size() <= 3 ? 0.25 : 0.12;
  Layers layers;
  for (size_t i = 0; i < curves.size(); ++i) {
    if (curves[i].values.empty()) {
      absl::StrAppend(&layers.lines, "NaN with lines lc rgb '#ffffff' title ", GnuplotString(curves[i].label),
                      ", \\\n  ");
    } else {
      AddCurve(curves[i], i, csv.Add(Rows(curves[i])), top, opacity, &layers);
    }
  }
  Figure figure{.name = name, .csv = csv.text(), .width = kOverlayWidth};
  figure.height = kOverlayHeight + kSmallLinePixels * static_cast<int>(curves.size());
  figure.settings =
      absl::StrCat("set xlabel 'relative depth'\nset ylabel ", GnuplotString(value_label),
                   absl::StrFormat("\nset xrange [0:1]\nset yrange [0:%.6g]\n", top),
                   "set xtics out nomirror 0,0.1\nset ytics out nomirror\nset format '%g'\nset border 3\n",
                   "set grid ytics lc rgb '#cccccc' lw 0.5\nset samples 2\n");
  // The white line below all closes the list of elements whatever stands before it.
  figure.plot = absl::StrCat(kKeyBelow, "set ylabel font small\nplot ", layers.bands, layers.lines,
                             "NaN notitle", layers.marks, "\n");
  return figure;
}

}  // namespace induct::client
