// Figures: a gnuplot script and the data that it draws, kept beside the pictures so that they can be
// restyled.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct::client {

// A figure as it was thought out: sizes are pixels of the PNG at the font of kFontPoints.
struct Figure {
  std::string name;                // of its files, without ending; safe in file names and in gnuplot's quotes
  std::string newest_name;         // what the newest of all models' is called as well; empty: nothing
  std::string csv;                 // <name>.csv
  std::vector<std::string> title;  // paragraphs above it: what it is of, what it shows, what was measured
  std::string settings;            // the part of <name>.gp that is its own: `set` commands
  // And what draws it; runs once for each picture. It may use gnuplot's variables `heading`, the title in
  // lines; `unit`, by which sizes of points are multiplied so that they look alike in every format;
  // `font_size`; `small`, the font of headings, keys and names; `below`, the share of the picture's height
  // that lies below the heading.
  std::string plot;
  int width = 0;
  int height = 0;  // with a title of kHeadingLines; each one more adds to it
};

inline constexpr int kFontPoints = 30;
inline constexpr int kFontPixels = 40;
inline constexpr int kLinePixels = 47;
inline constexpr int kCharacterPixels = 22;  // of an average character, rather more than less
// The same of small letters.
inline constexpr double kSmall = 0.8;
inline constexpr int kSmallLinePixels = 38;
inline constexpr int kSmallCharacterPixels = 18;
inline constexpr int kHeadingLines = 3;

// What the user may choose.
struct FigureOptions {
  std::string format = "png,svg";  // of png, svg, pdf, separated by commas
  int width = 0;                   // pixels of the PNG; an SVG has half as many units, a PDF an inch for 400.
  int height = 0;                  // Letters and lines scale with them. 0: the figure's own
  std::string title;               // instead of the first paragraph of each figure's title; empty: its own
  std::string font;                // empty: DejaVu Sans
  std::string folder;              // where files are written; empty: the run's figs/
};

inline constexpr int kSmallestFigure = 200;
inline constexpr int kLargestFigure = 10000;

// INVALID_ARGUMENT where an option can't be, saying what can.
absl::Status CheckFigureOptions(const FigureOptions& options);

// Writes <name>.gp and <name>.csv into the folder and makes the pictures <name>.png, <name>.svg ... of them:
// all whole, or none. Errors of writing have the exit code kOutput. Where gnuplot is missing, NOT_FOUND;
// where it fails, INTERNAL with what it said: script and data are there then. REQUIRES:
// CheckFigureOptions(options).ok().
absl::Status DrawFigure(const std::string& folder, const Figure& figure, const FigureOptions& options = {});

}  // namespace induct::client
