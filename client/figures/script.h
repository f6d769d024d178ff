// The gnuplot scripts that figures become.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/figures/figure.h"

namespace induct::client {

// A kind of picture that gnuplot makes.
enum class PictureFormat { kPng, kSvg, kPdf };

// "png", "svg", "pdf".
const char* FormatWord(PictureFormat format);

// Of files: ".png", ".svg", ".pdf".
std::string Ending(PictureFormat format);

// Of "png,svg"; each once, in the order of the enumeration. INVALID_ARGUMENT where a word is none of them.
absl::StatusOr<std::vector<PictureFormat>> ParseFormats(std::string_view text);

// The whole of <name>.gp. Pictures get the ending of gnuplot's variable `made` after their own, which is
// empty when a user runs the script.
std::string FigureScript(const Figure& figure, const FigureOptions& options);

// Where a figure's plot begins so: a key below it, one entry a line.
inline constexpr char kKeyBelow[] =
    "set key bmargin center vertical Left reverse samplen 3 maxcols 1 height 1 font small\n";

// `text` as a gnuplot string in single quotes: control characters become spaces, single quotes typographic
// ones, bytes that are no UTF-8 visible escapes; nothing in it is obeyed.
std::string GnuplotString(const std::string& text);

}  // namespace induct::client
