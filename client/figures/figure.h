// Figures: a gnuplot script and the data that it draws, kept beside the pictures so that they can be
// restyled.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace induct::client {

struct Figure {
  std::string name;      // of its files, without ending; safe in file names and in gnuplot's quotes
  std::string csv;       // <name>.csv
  std::string settings;  // the part of <name>.gp that is its own: `set` commands
  std::string plot;      // and what draws it; runs once for each kind of picture
  int width =
      0;  // pixels of the PNG, at twice the usual resolution for print; the SVG has half as many units
  int height = 0;
};

// Writes <name>.gp and <name>.csv into the folder and makes <name>.png and <name>.svg of them: whole or not
// at all. Errors of writing have the exit code kOutput. Where gnuplot is missing, NOT_FOUND; where it fails,
// INTERNAL with what it said: script and data are there then.
absl::Status DrawFigure(const std::string& folder, const Figure& figure);

// `text` as a gnuplot string in single quotes: control characters become spaces, single quotes typographic
// ones; nothing in it is obeyed.
std::string GnuplotString(const std::string& text);

// Colours that people with any colour vision tell apart (Okabe and Ito).
inline constexpr char kBlue[] = "#0072B2";
inline constexpr char kVermillion[] = "#D55E00";
inline constexpr char kGreen[] = "#009E73";

}  // namespace induct::client
