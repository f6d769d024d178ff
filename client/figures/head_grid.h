// A value for each head as a coloured square, layers upwards: what heatmaps share.
#pragma once

#include <functional>
#include <string>

#include "client/figures/figure.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

struct HeadGrid {
  int n_layers = 0;
  int n_heads = 0;
  std::string header;  // of the CSV's columns after layer and head; the first is shown
  std::function<std::string(size_t i)> cells;  // the CSV's text for them; i = layer * n_heads + head
  double lowest = 0;                           // ends of the colours; a range without width is widened
  double highest = 0;
  std::string palette;      // a `set palette` command
  std::string value_label;  // beside the colours
};

// Name and title are the caller's to set. `marks` is put after the squares: a comma and further elements of
// gnuplot's plot command, in which columns 1 and 2 are layer and head; or empty.
Figure HeadGridFigure(const std::string& name, const HeadGrid& grid, const std::string& marks);

// For `marks`: a ring on each head whose p, which stands in that column of the CSV (counted from 1), is at
// most kSignificant.
std::string SignificanceRings(const std::string& name, const HeadGrid& grid, int column);

// What a title says of the rings: "rings: p <= 0.05, adjusted over all heads (3 of 32)". `p` may have no
// values.
std::string SignificanceText(const v1::HeadMatrix& p);

// The largest absolute value, 1 where all are 0: where a scale around 0 ends.
double FurthestFromZero(const google::protobuf::RepeatedField<double>& values);

// Pixels of a square's side: legible from 4 x 4 to 48 x 64 squares, and never more than a picture can hold.
int SquarePixels(int n_rows, int n_columns);

// The command that draws squares of `square` pixels, followed by `rest`; `data` names them up to gnuplot's
// "using ", by rows of y, x and value. Each is a rectangle of its own: an image needs two rows and columns at
// least, and is blurred by what shows SVGs.
std::string SquaresPlot(const std::string& data, int square, const std::string& rest);

}  // namespace induct::client
