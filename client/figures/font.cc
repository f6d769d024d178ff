#include "client/figures/font.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/child_process.h"

namespace induct::client {
namespace {

constexpr absl::Duration kFontPatience = absl::Seconds(10);

// What a program of fontconfig prints; empty where it fails or is missing.
std::string AskFontconfig(const std::vector<std::string>& arguments) {
  const int said = memfd_create("fontconfig-output", MFD_CLOEXEC);
  if (said < 0) return "";
  const absl::Cleanup close_said = [said] { close(said); };
  const auto program = ChildProcess::Start({.arguments = arguments, .output_fd = said});
  if (!program.ok() || !(*program)->WaitFor(kFontPatience) || !(*program)->succeeded()) return "";
  std::string text(static_cast<size_t>(std::max<off_t>(lseek(said, 0, SEEK_END), 0)), '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(pread(said, text.data(), text.size(), 0), 0)));
  return text;
}

// The names of the family that is taken for `font`. Empty where fontconfig can't be asked.
std::vector<std::string> Families(const std::string& font) {
  const std::string pattern = absl::StrCat(":family=", absl::StrReplaceAll(font, {{"-", "\\-"}}));
  return absl::StrSplit(AskFontconfig({"fc-match", "-f", "%{family}", pattern}), ',', absl::SkipEmpty());
}

struct Range {
  uint32_t first, last;
};

// Of "20-7e a0-1a9 245", lines of it.
std::vector<Range> ParseRanges(const std::string& text) {
  std::vector<Range> ranges;
  const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  for (const std::string& word : words) {
    const std::pair<std::string, std::string> ends = absl::StrSplit(word, absl::MaxSplits('-', 1));
    Range range;
    if (!absl::SimpleHexAtoi(ends.first, &range.first)) continue;
    if (!absl::SimpleHexAtoi(ends.second, &range.last)) range.last = range.first;
    ranges.push_back(range);
  }
  return ranges;
}

bool CanDraw(uint32_t code) {
  static const auto* const kInstalled =
      new std::vector<Range>(ParseRanges(AskFontconfig({"fc-list", "--format", "%{charset}\n"})));
  return kInstalled->empty() ||
         std::any_of(kInstalled->begin(), kInstalled->end(),
                     [code](const Range& range) { return range.first <= code && code <= range.last; });
}

// The code of a character of more than one byte.
uint32_t CodeOf(std::string_view character) {
  uint32_t code = static_cast<unsigned char>(character[0]) & (0x7fu >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3fu);
  return code;
}

}  // namespace

std::string FontInstead(const std::string& font) {
  if (font.empty()) return "";
  const std::vector<std::string> families = Families(font);
  const bool is_there = std::any_of(families.begin(), families.end(), [&](const std::string& family) {
    return absl::EqualsIgnoreCase(family, font);
  });
  return is_there || families.empty() ? "" : families.front();
}

std::string WithDrawableCharacters(const std::string& text) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  std::string drawable;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    while (end < text.size() && continues(text[end])) ++end;
    const std::string_view character(text.data() + at, end - at);
    at = end;
    if (character.size() == 1 || CanDraw(CodeOf(character))) {
      drawable += character;
    } else {
      absl::StrAppendFormat(&drawable, "\\u{%x}", CodeOf(character));
    }
  }
  return drawable;
}

}  // namespace induct::client
