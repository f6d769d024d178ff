#include "client/figures/script.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/figures/captions.h"
#include "client/text.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

constexpr char kFont[] = "DejaVu Sans";
constexpr std::array kFormats = {PictureFormat::kPng, PictureFormat::kSvg, PictureFormat::kPdf};

// The title's lines stand above the plot, whose middle is not the picture's: they keep away from its sides.
constexpr int kHeadingMargin = 160;

// The paragraph in lines of about the same length, as few as `width` allows.
std::vector<std::string> Balanced(const std::string& paragraph, size_t width) {
  std::vector<std::string> lines = Wrapped(paragraph, width);
  size_t longest_word = 1;
  const std::vector<std::string> words = absl::StrSplit(paragraph, ' ');
  for (const std::string& word : words) longest_word = std::max(longest_word, DisplayWidth(word));
  while (--width >= longest_word) {
    std::vector<std::string> narrower = Wrapped(paragraph, width);
    if (narrower.size() > lines.size()) break;
    lines = std::move(narrower);
  }
  return lines;
}

std::vector<std::string> HeadingLines(const Figure& figure, const std::string& title) {
  const auto characters = static_cast<size_t>((figure.width - kHeadingMargin) / kSmallCharacterPixels);
  std::vector<std::string> lines;
  for (size_t i = 0; i < figure.title.size(); ++i) {
    const std::vector<std::string> paragraph =
        Balanced(i == 0 && !title.empty() ? title : figure.title[i], characters);
    lines.insert(lines.end(), paragraph.begin(), paragraph.end());
  }
  return lines;
}

// The picture as it will be: `scale` times as large as the figure was thought out, as far as both sides
// allow.
struct Layout {
  double width, height;
  double scale;
  double below;  // share of the height below the heading
};

Layout LayOut(const Figure& figure, const FigureOptions& options, int heading_lines) {
  const double own_height = figure.height + kSmallLinePixels * std::max(0, heading_lines - kHeadingLines);
  Layout layout{.width = static_cast<double>(options.width > 0 ? options.width : figure.width),
                .height = options.height > 0 ? static_cast<double>(options.height) : own_height};
  layout.scale = std::min(layout.width / figure.width, layout.height / own_height);
  layout.below = 1 - kSmallLinePixels * (heading_lines + 1) * layout.scale / layout.height;
  return layout;
}

std::string Terminal(PictureFormat format, const Layout& layout, const std::string& font) {
  const auto set = [&](const char* terminal, const std::string& size, double font_size, double line_width,
                       double unit, const char* more) {
    return absl::StrFormat(
        "set terminal %s noenhanced size %s font '%s,%.4g' linewidth %.4g%s\nunit = %.4g\nfont_size = %.4g\n"
        "small = ',%.4g'\nbelow = %.4g\nset title font small\nset cblabel font small\n",
        terminal, size, font, font_size, line_width, more, unit, font_size, kSmall * font_size, layout.below);
  };
  const double scale = layout.scale;
  switch (format) {
    case PictureFormat::kPng:
      return set("pngcairo", absl::StrFormat("%.0f,%.0f", layout.width, layout.height), kFontPoints * scale,
                 2.5 * scale, 1.2 * scale, "");
    case PictureFormat::kSvg:
      return set("svg", absl::StrFormat("%.0f,%.0f", layout.width / 2, layout.height / 2),
                 kFontPixels * scale / 2, 1.25 * scale, 0.5 * scale, " background '#ffffff'");
    case PictureFormat::kPdf:  // the size of print: 400 pixels an inch
      return set("pdfcairo", absl::StrFormat("%.4gin,%.4gin", layout.width / 400, layout.height / 400),
                 kFontPoints * scale * 72 / 400, 0.9 * scale, 0.25 * scale, " fontscale 1");
  }
  return "";
}

}  // namespace

const char* FormatWord(PictureFormat format) {
  switch (format) {
    case PictureFormat::kPng:
      return "png";
    case PictureFormat::kSvg:
      return "svg";
    case PictureFormat::kPdf:
      return "pdf";
  }
  return "";
}

std::string Ending(PictureFormat format) { return absl::StrCat(".", FormatWord(format)); }

absl::StatusOr<std::vector<PictureFormat>> ParseFormats(std::string_view text) {
  std::vector<PictureFormat> formats;
  const std::vector<std::string> words = absl::StrSplit(std::string(text), ',');
  for (const PictureFormat format : kFormats) {
    if (std::find(words.begin(), words.end(), FormatWord(format)) != words.end()) formats.push_back(format);
  }
  for (const std::string& word : words) {
    const auto is_word = [&](PictureFormat format) { return word == FormatWord(format); };
    if (std::any_of(kFormats.begin(), kFormats.end(), is_word)) continue;
    return absl::InvalidArgumentError(absl::StrCat("\"", Printable(word),
                                                   "\" is no format of pictures: png, ",
                                                   "svg or pdf, several with commas between them"));
  }
  return formats;
}

std::string FigureScript(const Figure& figure, const FigureOptions& options) {
  const auto formats = ParseFormats(options.format);
  std::vector<std::string> heading = HeadingLines(figure, options.title);
  const Layout layout = LayOut(figure, options, static_cast<int>(heading.size()));
  for (std::string& line : heading) line = GnuplotString(line);
  const std::string font = options.font.empty() ? kFont : options.font;
  std::vector<std::string> pictures;
  std::string drawing;
  for (const PictureFormat format : formats.value_or(std::vector<PictureFormat>())) {
    const std::string picture = absl::StrCat(figure.name, Ending(format));
    pictures.push_back(picture);
    absl::StrAppend(&drawing, Terminal(format, layout, font), "set output '", picture, "'.made\n",
                    figure.plot, "unset output\n");
  }
  return absl::StrCat("# Run in this folder: gnuplot ", figure.name, ".gp\n# It reads ", figure.name,
                      ".csv and writes ", absl::StrJoin(pictures, ", "),
                      "\nif (!exists('made')) made = ''\nset datafile separator ','\nheading = ",
                      absl::StrJoin(heading, ".\"\\n\"."), "\nset title heading\n", figure.settings, drawing);
}

std::string GnuplotString(const std::string& text) {
  std::string plain = IsUtf8(text) ? text : Printable(text);
  for (char& c : plain) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  // gnuplot 5.4 misreads a doubled quote at a string's beginning, so a quote becomes its typographic sister.
  return absl::StrCat("'", absl::StrReplaceAll(plain, {{"'", "\xe2\x80\x99"}}), "'");
}

}  // namespace induct::client
