// Code points of UTF-8, and the few character properties that splitting text needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace induct::checkpoint {

// The code point that starts at `at`, and its bytes. REQUIRES: valid UTF-8, at < text.size().
struct CodePoint {
  char32_t value;
  size_t bytes;
};
CodePoint CodePointAt(std::string_view text, size_t at);

// Where the code point before `at` starts. REQUIRES: valid UTF-8, at > 0.
size_t PreviousCodePoint(std::string_view text, size_t at);

void AppendUtf8(char32_t code_point, std::string& out);

// What regular expressions call a word character (Unicode Technical Standard 18, \w).
bool IsWordCharacter(char32_t code_point);

// Unicode's White_Space property.
bool IsWhiteSpace(char32_t code_point);

// Code points that Unicode 15 and 16 put into a general category ("Lu"): tables of installed libraries may be
// too old to know them. Rising.
struct AddedRange {
  char32_t first, last;
  char category[3];
};
std::span<const AddedRange> RangesAddedSinceUnicode14();

}  // namespace induct::checkpoint
