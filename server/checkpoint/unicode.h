// UTF-8 and the few character properties that splitting text needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace induct::checkpoint {

// Whether `text` is valid UTF-8: shortest forms only, no surrogates, nothing beyond U+10FFFF.
bool IsValidUtf8(std::string_view text);

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

// Unicode's White_Space property; also as a PCRE2 class, whose own \s adds U+180E.
bool IsWhiteSpace(char32_t code_point);
#define INDUCT_WHITE_SPACE_CLASS                                            \
  "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}" \
  "\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

}  // namespace induct::checkpoint
