#include "server/checkpoint/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

// The longest canonical decomposition of one code point has 4.
constexpr size_t kMaxDecomposed = 8;
constexpr auto kComposition = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

int CombiningClass(utf8proc_int32_t code_point) {
  return static_cast<int>(utf8proc_get_property(code_point)->combining_class);
}

std::vector<utf8proc_int32_t> Decompose(std::string_view text) {
  std::vector<utf8proc_int32_t> decomposed;
  decomposed.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    at += point.bytes;
    std::array<utf8proc_int32_t, kMaxDecomposed> parts;
    int boundary_class = 0;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point.value), parts.data(), parts.size(),
                                kComposition, &boundary_class);
    decomposed.insert(decomposed.end(), parts.begin(), parts.begin() + n);
  }
  return decomposed;
}

// Canonical ordering: each run of combining marks by class, in place. utf8proc's own takes quadratic time on
// long runs.
void OrderMarks(std::vector<utf8proc_int32_t>& points) {
  auto is_mark = [](utf8proc_int32_t point) { return CombiningClass(point) != 0; };
  for (auto begin = std::find_if(points.begin(), points.end(), is_mark); begin != points.end();) {
    const auto end = std::find_if_not(begin, points.end(), is_mark);
    std::ranges::stable_sort(begin, end, {}, CombiningClass);
    begin = std::find_if(end, points.end(), is_mark);
  }
}

// Stands before the first trailing consonant. It composes with nothing, but utf8proc drops it after a
// syllable.
constexpr char32_t kHangulFiller = 0x11A7;

// points: decomposed and ordered; changes them.
void AppendComposed(std::span<utf8proc_int32_t> points, std::string& text) {
  const utf8proc_ssize_t n =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()), kComposition);
  for (const utf8proc_int32_t point : points.first(static_cast<size_t>(n))) {
    AppendUtf8(static_cast<char32_t>(point), text);
  }
}

// Below it every character stays as it is, whatever follows that is below it too.
constexpr char32_t kFirstMark = 0x300;

bool IsHangulJamo(char32_t c) { return c >= 0x1100 && c <= 0x11FF; }  // composed by rule, not by table

// Whether a character neither decomposes, nor composes with another, nor is reordered.
bool IsInert(char32_t c) {
  const utf8proc_property_t* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return property->combining_class == 0 && property->decomp_seqindex == UINT16_MAX &&
         property->comb_index == UINT16_MAX && !IsHangulJamo(c);
}

}  // namespace

bool IsSurelyNfc(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    at += point.bytes;
    if (point.value >= kFirstMark && !IsInert(point.value)) return false;
  }
  return true;
}

std::string NormalizeNfc(std::string_view text) {
  if (IsSurelyNfc(text)) return std::string(text);
  std::vector<utf8proc_int32_t> points = Decompose(text);
  OrderMarks(points);
  std::string composed;
  composed.reserve(text.size());
  for (auto begin = points.begin(); begin != points.end();) {
    const auto filler = std::find(begin, points.end(), utf8proc_int32_t{kHangulFiller});
    AppendComposed({begin, filler}, composed);
    if (filler != points.end()) AppendUtf8(kHangulFiller, composed);
    begin = filler == points.end() ? filler : filler + 1;
  }
  return composed;
}

}  // namespace induct::checkpoint
