// What the fonts installed here can draw, as fontconfig knows, which gnuplot draws with.
#pragma once

#include <string>

namespace induct::client {

// What gnuplot draws with instead, because no font of that name is installed: nobody else would say so. Empty
// where it is installed, where `font` is empty, and where fontconfig can't be asked. REQUIRES: `font` is a
// font's name as CheckFigureOptions wants it.
std::string FontInstead(const std::string& font);

// `text` (UTF-8) with every character that no installed font has written as \u{6771}: cairo draws a box of
// any size for one, over all of the picture. The text as it is where fontconfig can't be asked. Safe from
// every thread.
std::string WithDrawableCharacters(const std::string& text);

}  // namespace induct::client
