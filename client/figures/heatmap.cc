#include "client/figures/heatmap.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"

namespace induct::client {
namespace {

constexpr int kMostLabels = 24;  // on an axis
constexpr int kMargin = 420;     // pixels beside and above the cells: labels, title, colour bar

// Cells stay square and legible from 4 x 4 heads to 48 x 64.
int CellPixels(int n_layers, int n_heads) { return std::clamp(1300 / std::max(n_layers, n_heads), 24, 140); }

// Viridis at 16 points: perceptually even, and readable without colour vision and in grey.
constexpr char kViridis[] =
    "set palette defined (0 '#440154', 1 '#481a6c', 2 '#472f7d', 3 '#414487', 4 '#39568c', 5 '#31688e', 6 "
    "'#2a788e', "
    "7 '#23888e', 8 '#1f988b', 9 '#22a884', 10 '#35b779', 11 '#54c568', 12 '#7ad151', 13 '#a5db36', 14 "
    "'#d2e21b', 15 '#fde725')\n";

std::string Csv(int n_layers, int n_heads, const FloatArray& scores) {
  std::string csv = "layer,head,score\n";
  for (int layer = 0; layer < n_layers; ++layer) {
    for (int head = 0; head < n_heads; ++head) {
      absl::StrAppendFormat(&csv, "%d,%d,%.9g\n", layer, head,
                            scores.values[static_cast<size_t>(layer * n_heads + head)]);
    }
  }
  return csv;
}

}  // namespace

absl::StatusOr<Figure> HeatmapFigure(const v1::Profile& profile, const std::string& title_model,
                                     const FloatArray& scores) {
  const int n_layers = static_cast<int>(profile.n_layers());
  const int n_heads = static_cast<int>(profile.n_heads());
  if (scores.shape != std::vector<int64_t>{n_layers, n_heads} || scores.values.empty()) {
    return absl::DataLossError("the scores' array has another shape than the profile");
  }
  const int cell = CellPixels(n_layers, n_heads);
  Figure figure{.name = absl::StrCat("heatmap_", profile.model()), .csv = Csv(n_layers, n_heads, scores)};
  figure.width = std::max(n_heads * cell + kMargin, 1200);
  figure.height = std::max(n_layers * cell + kMargin, 1000);
  const size_t characters = static_cast<size_t>(figure.width) / 24;
  const double highest = *std::max_element(scores.values.begin(), scores.values.end());
  figure.settings = absl::StrCat(
      "set title ", GnuplotString(Shortened(title_model, characters)), ".\"\\n\".",
      GnuplotString(absl::StrCat(profile.score(), " score per head")), ".\"\\n\".",
      GnuplotString(MeasuredOn(profile)), " offset 0,-0.3\n",
      "set xlabel 'head'\nset ylabel 'layer'\nset cblabel 'mean attention probability' offset 1,0\n",
      "set xrange [-0.5:", n_heads, "-0.5]\nset yrange [-0.5:", n_layers, "-0.5]\n",
      "set cbrange [0:", absl::StrFormat("%.6g", std::max(highest, 1e-6)), "]\n", "set xtics out nomirror 0,",
      TickStep(n_heads, kMostLabels), "\n", "set ytics out nomirror 0,", TickStep(n_layers, kMostLabels),
      "\n", "set format '%g'\nset border lw 0.5\nunset key\n", kViridis);
  // An SVG would hold the image as tiny pixels that viewers blur; there each cell is a rectangle of its own.
  const std::string cells = absl::StrCat("plot '", figure.name, ".csv' skip 1 using 2:1:3 with image");
  figure.plot =
      absl::StrCat("if (GPVAL_TERM eq 'svg') {\n  ", cells, " pixels\n} else {\n  ", cells, "\n}\n");
  return figure;
}

}  // namespace induct::client
