#include "client/figures/pattern_map.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/csv_blocks.h"
#include "client/figures/font.h"
#include "client/figures/head_grid.h"
#include "client/figures/script.h"
#include "client/kinds/pattern.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr int kMaxNamedTokens = 64;  // more would not be legible; then positions are numbered
constexpr size_t kTokenCharacters = 14;
constexpr int kMinPlot = 700;        // pixels of a side
constexpr int kNumberedPlot = 1700;  // where positions are numbered
constexpr int kAxisPixels = 130;     // an axis' ticks and its name, beside the tokens
constexpr int kColoursPixels = 280;
constexpr int kMapTickPixels = 90;
// More squares than this on a side would make an SVG of hundreds of megabytes; they become an image.
constexpr int kMaxSquares = 256;

// Spaces are visible, and what can't be shown is escaped.
std::string TokenLabel(const v1::AttentionPattern& pattern, int at) {
  if (pattern.tokens().empty() || pattern.tokens(at).empty()) return absl::StrCat(pattern.token_ids(at));
  const std::string text = absl::StrReplaceAll(Printable(pattern.tokens(at)), {{" ", "\xe2\x90\xa3"}});
  return Shortened(WithDrawableCharacters(text), kTokenCharacters);
}

std::vector<std::string> TokenTexts(const v1::AttentionPattern& pattern) {
  std::vector<std::string> texts;
  for (int at = 0; at < pattern.token_ids_size(); ++at) texts.push_back(TokenLabel(pattern, at));
  return texts;
}

// Only what a causal head can attend to; the rest stays white. An image needs a value for every pixel.
std::string Probabilities(const SavedModel& model, int n) {
  std::string rows;
  for (int query = 0; query < n; ++query) {
    const float* of_query = &AttentionOf(model)->values[static_cast<size_t>(query) * static_cast<size_t>(n)];
    for (int key = 0; key <= query; ++key)
      absl::StrAppendFormat(&rows, "%d,%d,%.9g\n", query, key, of_query[key]);
    for (int key = query + 1; key < n && n > kMaxSquares; ++key)
      absl::StrAppend(&rows, query, ",", key, ",NaN\n");
  }
  return rows;
}

std::string AttentionPlot(const std::string& data, int n, int square, const std::string& marks) {
  return n <= kMaxSquares ? SquaresPlot(data, square, marks)
                          : absl::StrCat("plot ", data, "2:1:3 with image", marks, "\n");
}

// How the squares and what stands beside them share the picture.
struct MapLayout {
  int square = 1;     // pixels of a square's side
  int plot = 0;       // of all squares
  int axis = 0;       // from the plot to the picture's side, left and below
  double letter = 1;  // size of the ticks' letters
};

MapLayout LayOutMap(const std::vector<std::string>& tokens) {
  const int n = static_cast<int>(tokens.size());
  const bool named = n <= kMaxNamedTokens;
  MapLayout layout{.square = named ? SquarePixels(n, n) : std::max(1, kNumberedPlot / n)};
  layout.plot = std::max(n * layout.square, kMinPlot);
  size_t longest = named ? 0 : std::to_string(n).size();
  for (size_t i = 0; named && i < tokens.size(); ++i) longest = std::max(longest, DisplayWidth(tokens[i]));
  layout.letter = named ? std::min(kSmall, 0.75 * layout.plot / n / kLinePixels) : kSmall;
  layout.axis =
      kAxisPixels + static_cast<int>(kCharacterPixels * layout.letter * static_cast<double>(longest));
  return layout;
}

// The axes' letters, which are the picture's size, so that this runs before each plot. The plot stays square
// where two of its margins only are set. The axes' names stand where the tokens end: gnuplot takes their
// bytes for letters.
std::string Axes(const std::vector<std::string>& tokens, const MapLayout& layout, const Figure& figure) {
  const int n = static_cast<int>(tokens.size());
  const bool named = n <= kMaxNamedTokens;
  std::string ticks = absl::StrCat("0,", TickStep(n, std::max(1, layout.plot / kMapTickPixels)));
  if (named) {
    std::vector<std::string> at;
    for (int i = 0; i < n; ++i)
      at.push_back(absl::StrCat(GnuplotString(tokens[static_cast<size_t>(i)]), " ", i));
    ticks = absl::StrCat("(", absl::StrJoin(at, ", "), ")");
  }
  const double name_at = (layout.axis - 35.0) / layout.plot;
  const char* position = named ? "" : " position";
  return absl::StrFormat("token_font = sprintf(',%%g', %.3g*font_size)\n", layout.letter) +
         absl::StrFormat("set lmargin at screen %.4g\nset bmargin at screen %.4g\n",
                         static_cast<double>(layout.axis) / figure.width,
                         static_cast<double>(layout.axis) / figure.height) +
         absl::StrCat("set xtics out nomirror ", named ? "rotate by 90 right " : "", ticks,
                      " font token_font\n", "set ytics out nomirror ", ticks, " font token_font\n") +
         absl::StrFormat(
             "unset label\nset label 'key%s' at graph 0.5, graph %.4g center\n"
             "set label 'query%s' at graph %.4g, graph 0.5 center rotate by 90\n",
             position, -name_at, position, -name_at);
}

// Frames around the squares that the score reads, thin where squares are small; where there is room a light
// one lies below, to be seen on every colour.
std::string Frames(const v1::AttentionPattern& pattern, int square, CsvBlocks* csv) {
  if (pattern.targets().empty()) return "";
  std::string rows;
  for (const v1::PatternTarget& target : pattern.targets())
    absl::StrAppend(&rows, target.query(), ",", target.key(), ",\n");
  const std::string data = csv->Add(rows);
  const auto frame = [&](const char* colour, double width) {
    return absl::StrFormat(
        ", \\\n  %s2:1:($2-0.5):($2+0.5):($1-0.5):($1+0.5) with boxxyerror lc rgb '%s' lw %.3g fs empty "
        "border",
        data, colour, width);
  };
  const double width = std::clamp(square / 40.0, 0.3, 1.2);
  return absl::StrCat(width > 0.5 ? frame("#ffffff", 2 * width) : "", frame(kVermillion, width));
}

}  // namespace

std::string PatternFigureName(const SavedModel& model) {
  const v1::AttentionPattern& pattern = *model.Get<v1::AttentionPattern>();
  return absl::StrCat("pattern_", model.use.name(), "_", pattern.head().layer(), ".", pattern.head().head(),
                      "_prompt", pattern.prompt());
}

Figure PatternFigure(const SavedModel& model) {
  const v1::AttentionPattern& pattern = *model.Get<v1::AttentionPattern>();
  const std::vector<std::string> tokens = TokenTexts(pattern);
  const int n = static_cast<int>(tokens.size());
  const MapLayout layout = LayOutMap(tokens);
  const std::string name = PatternFigureName(model);
  CsvBlocks csv(name, "query,key,probability");
  const std::string squares = csv.Add(Probabilities(model, n));
  const std::string frames = Frames(pattern, layout.square, &csv);
  Figure figure{.name = name, .csv = csv.text()};
  figure.width = layout.axis + layout.plot + kColoursPixels;
  figure.height = layout.axis + layout.plot + (kHeadingLines + 2) * kSmallLinePixels;
  const auto& values = AttentionOf(model)->values;
  const double highest = std::max(*std::max_element(values.begin(), values.end()), 1e-6f);
  figure.title = {absl::StrCat(model.label, ": head ", pattern.head().layer(), ".", pattern.head().head()),
                  absl::StrCat("attention on prompt ", pattern.prompt(), ", ",
                               Counted(static_cast<uint64_t>(n), "token")),
                  pattern.targets().empty()
                      ? "the score reads nothing in this prompt"
                      : absl::StrCat("framed: what the score reads (", pattern.targets_size(), ")")};
  figure.settings = absl::StrCat(
      "set cblabel 'attention probability'\n",
      absl::StrFormat("set xrange [-0.5:%d-0.5]\nset yrange [%d-0.5:-0.5]\nset cbrange [0:%.6g]\n", n, n,
                      highest),
      "set size ratio 1\nset format '%g'\nset border lw 0.5\nunset key\n", kViridis);
  figure.plot = absl::StrCat(Axes(tokens, layout, figure), AttentionPlot(squares, n, layout.square, frames));
  return figure;
}

}  // namespace induct::client
