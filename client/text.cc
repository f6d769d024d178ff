#include "client/text.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

std::string Escape(unsigned char c) {
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  return absl::StrFormat("\\x%02x", c);
}

// Characters that turn the text around them: U+061C, U+200E, U+200F, U+202A .. U+202E, U+2066 .. U+2069.
bool TurnsText(std::string_view character) {
  static constexpr std::string_view kTurning[] = {"\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c",
                                                  "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"};
  return std::find(std::begin(kTurning), std::end(kTurning), character) != std::end(kTurning);
}

// C0 controls, DEL, and the C1 controls U+0080 .. U+009F, which some terminals obey too.
bool IsControl(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    if (length == 0 || IsControl(character) || TurnsText(character)) {
      for (const char c : character) shown += Escape(static_cast<unsigned char>(c));
    } else {
      shown += character;
    }
    text.remove_prefix(character.size());
  }
  return shown;
}

std::string ShellQuoted(std::string_view text) {
  if (Printable(text) == text)
    return absl::StrCat("'", absl::StrReplaceAll(std::string(text), {{"'", "'\\''"}}), "'");
  std::string word = "$'";
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<size_t>(Utf8Length(text), 1));
    text.remove_prefix(character.size());
    if (character == "'" || character == "\\") {
      absl::StrAppend(&word, "\\", std::string(character));
    } else if (Printable(character) == character) {
      word += character;
    } else {
      for (const char c : character) absl::StrAppendFormat(&word, "\\%03o", static_cast<unsigned char>(c));
    }
  }
  return word + "'";
}

void TellUser(std::string_view sentence) {
  std::fprintf(stderr, "induct-client: %s\n", Printable(sentence).c_str());
}

uint64_t AsCount(double number) {
  constexpr double kLargest = 9007199254740992;  // 2^53: beyond it a double skips numbers
  return static_cast<uint64_t>(std::min(std::max(0.0, number), kLargest));
}

std::string Grouped(uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string Counted(uint64_t number, std::string_view noun) {
  return absl::StrCat(Grouped(number), " ", std::string(noun), number == 1 ? "" : "s");
}

std::string FirstColumns(std::string_view text, size_t columns) {
  size_t end = 0;
  for (; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
    if (begins && columns-- == 0) break;
  }
  return std::string(text.substr(0, end));
}

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace induct::client
