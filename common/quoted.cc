#include "common/quoted.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace induct {
namespace {

constexpr size_t kMaxQuoted = 100;

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::string Quoted(std::string_view text) {
  if (text.size() <= kMaxQuoted) return absl::StrCat("'", absl::Utf8SafeCHexEscape(std::string(text)), "'");
  size_t end = kMaxQuoted;
  while (end > 0 && IsContinuationByte(text[end])) --end;
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(std::string(text.substr(0, end))), "...'");
}

}  // namespace induct
