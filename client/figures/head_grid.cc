#include "client/figures/head_grid.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/script.h"

namespace induct::client {
namespace {

constexpr int kGridMargin = 520;  // pixels beside and above the squares: labels, title, colours
constexpr int kMinWidth = 1200;
constexpr int kMinHeight = 900;
constexpr int kGridTickPixels = 66;  // that a label on an axis needs
constexpr int kMaxPixels = 4000;
constexpr int kMaxAspectRatio = 4;  // of the longer side to the shorter one

std::string GridCsv(const HeadGrid& grid) {
  std::string csv = absl::StrCat("layer,head,", grid.header, "\n");
  for (int layer = 0; layer < grid.n_layers; ++layer) {
    for (int head = 0; head < grid.n_heads; ++head) {
      absl::StrAppend(&csv, layer, ",", head, ",",
                      grid.cells(static_cast<size_t>(layer * grid.n_heads + head)), "\n");
    }
  }
  return csv;
}

std::string GridTicks(int n, int pixels) {
  return absl::StrCat(TickStep(n, std::max(1, pixels / kGridTickPixels)));
}

// Of the plot, in pixels. Beside a single row or column there would be no room for the colours: there squares
// become oblongs.
struct Sides {
  int width, height;
};

Sides PlotSides(const HeadGrid& grid, int square) {
  const int width = std::min(grid.n_heads * square, kMaxPixels);
  const int height = std::min(grid.n_layers * square, kMaxPixels);
  return {std::max(width, height / kMaxAspectRatio), std::max(height, width / kMaxAspectRatio)};
}

}  // namespace

int SquarePixels(int n_rows, int n_columns) {
  const int n = std::max(n_rows, n_columns);
  return std::max(1, std::min(std::clamp(1300 / n, 27, 140), kMaxPixels / n));
}

std::string SquaresPlot(const std::string& data, int square, const std::string& rest) {
  const double half = 0.5 + 1.0 / square;  // neighbours overlap by a pixel, or the paper would shine through
  return absl::StrFormat(
      "half = %.4g\nplot %s2:1:($2-half):($2+half):($1-half):($1+half):3 with boxxyerror lc palette fs solid "
      "1 noborder%s\n",
      half, data, rest);
}

// A dark ring on a light one, to be seen on every colour.
std::string SignificanceRings(const std::string& name, const HeadGrid& grid, int column) {
  const double size = std::clamp(SquarePixels(grid.n_layers, grid.n_heads) / 24.0, 0.7, 5.0);
  const auto ring = [&](const char* colour, double width) {
    return absl::StrFormat(
        ", \\\n  '%s.csv' skip 1 using ($%d <= %g ? $2 : NaN):1 with points pt 6 ps %.3g*unit lw %g lc rgb "
        "'%s'",
        name, column, kSignificant, size, width, colour);
  };
  return absl::StrCat(ring("#ffffff", 3), ring("#000000", 1.2));
}

std::string SignificanceText(const v1::HeadMatrix& p) {
  if (p.values().empty()) return "too few prompts for a test";
  const auto n =
      std::count_if(p.values().begin(), p.values().end(), [](double each) { return each <= kSignificant; });
  return absl::StrCat("rings: p <= 0.05, adjusted over all heads (", n, " of ", p.values_size(), ")");
}

double FurthestFromZero(const google::protobuf::RepeatedField<double>& values) {
  double furthest = 0;
  for (const double value : values) furthest = std::max(furthest, std::abs(value));
  return furthest == 0 ? 1 : furthest;
}

Figure HeadGridFigure(const std::string& name, const HeadGrid& grid, const std::string& marks) {
  const int square = SquarePixels(grid.n_layers, grid.n_heads);
  const Sides plot = PlotSides(grid, square);
  Figure figure{.name = name, .csv = GridCsv(grid)};
  figure.width = std::max(plot.width + kGridMargin, kMinWidth);
  figure.height = std::max(plot.height + kGridMargin, kMinHeight);
  const double highest = grid.highest > grid.lowest ? grid.highest : grid.lowest + 1;
  figure.settings = absl::StrCat(
      "set xlabel 'head'\nset ylabel 'layer'\nset cblabel ", GnuplotString(grid.value_label), "\n",
      absl::StrFormat("set xrange [-0.5:%d-0.5]\nset yrange [-0.5:%d-0.5]\nset cbrange [%.6g:%.6g]\n",
                      grid.n_heads, grid.n_layers, grid.lowest, highest),
      absl::StrFormat("set size ratio %.6g\n", static_cast<double>(plot.height) / plot.width),
      "set xtics out nomirror 0,", GridTicks(grid.n_heads, plot.width), "\nset ytics out nomirror 0,",
      GridTicks(grid.n_layers, plot.height),
      absl::StrFormat("\nset cbtics %.6g",
                      TickDistance(highest - grid.lowest, plot.height / kGridTickPixels)),
      "\nset format '%g'\nset border lw 0.5\nunset key\n", grid.palette);
  figure.plot = SquaresPlot(absl::StrCat("'", name, ".csv' skip 1 using "), square, marks);
  return figure;
}

}  // namespace induct::client
