#include "server/checkpoint/regex_translation.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

// Unicode's White_Space property and its complement, to stand in a class; PCRE2's own \s adds U+180E.
constexpr char kWhiteSpace[] =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}";
constexpr char kNoWhiteSpace[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";

constexpr std::string_view kCategories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",
                                            "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
                                            "S",  "Sm", "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "Cc", "Cf"};

// Oniguruma matches one character for these pairs where case does not count (the sharp s, ligatures).
constexpr std::string_view kFoldedPairs[] = {"ss", "ff", "fi", "fl", "st"};

constexpr char kOnlyAscii[] = "all but ASCII characters where case does not count";

std::string CodePointPattern(char32_t c) {
  if (c < 0x80 && absl::ascii_isalnum(static_cast<unsigned char>(c)))
    return std::string(1, static_cast<char>(c));
  return absl::StrCat("\\x{", absl::Hex(static_cast<uint32_t>(c)), "}");
}

// A category with what the installed PCRE2's tables may be too old for, to stand in a class.
std::string CategoryPattern(std::string_view category) {
  std::string pattern = absl::StrCat("\\p{", std::string(category), "}");
  for (const AddedRange& range : RangesAddedSinceUnicode14()) {
    if (!std::string_view(range.category).starts_with(category)) continue;
    absl::StrAppend(&pattern, CodePointPattern(range.first), "-", CodePointPattern(range.last));
  }
  return pattern;
}

// Something that matches one character: a code point, or a set as the inside of a PCRE2 class.
struct OneCharacter {
  std::optional<char32_t> code_point;
  std::string set;
  bool negated = false;  // all but the set
};

// An open group: whether case counts there, and whether it may match the empty text.
struct Group {
  bool caseless = false;
  bool looks_around = false;
  bool may_be_empty = false;             // by one of its earlier alternatives
  bool alternative_may_be_empty = true;  // what has been read of this one, but for its last item
  bool item_may_be_empty = true;

  void Add(bool may_be_empty) {
    alternative_may_be_empty &= item_may_be_empty;
    item_may_be_empty = may_be_empty;
  }
  void EndAlternative() {
    may_be_empty |= alternative_may_be_empty && item_may_be_empty;
    alternative_may_be_empty = item_may_be_empty = true;
  }
};

// Reads a pattern from the left and writes the translation as it goes.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Translate();

 private:
  bool AtEnd() const { return at_ == pattern_.size(); }
  bool Take(std::string_view expected);
  char32_t TakeCodePoint();
  absl::Status Refuse(std::string_view construct) const;

  absl::Status Item();
  absl::Status OpenGroup();
  absl::Status CloseGroup();
  absl::Status Quantifier();
  absl::StatusOr<std::string> Interval();
  absl::Status Class();
  absl::StatusOr<std::string> ClassRange();
  absl::StatusOr<OneCharacter> ClassMember();
  absl::StatusOr<OneCharacter> Escape();
  absl::StatusOr<OneCharacter> Category(bool negated);
  absl::StatusOr<OneCharacter> HexEscape();
  absl::Status EmitOne(const OneCharacter& one);
  absl::Status EmitCaseless(const OneCharacter& one);

  std::string_view pattern_;
  size_t at_ = 0;
  size_t item_begin_ = 0;
  std::string out_;
  std::vector<Group> groups_{1};  // the open ones, outermost first
  bool quantifiable_ = false;     // whether the last item may be repeated
  char caseless_before_ = '\0';   // the literal just before, where case does not count
};

bool Translator::Take(std::string_view expected) {
  if (!pattern_.substr(at_).starts_with(expected)) return false;
  at_ += expected.size();
  return true;
}

char32_t Translator::TakeCodePoint() {
  const CodePoint point = CodePointAt(pattern_, at_);
  at_ += point.bytes;
  return point.value;
}

absl::Status Translator::Refuse(std::string_view construct) const {
  return UnsupportedModel(absl::StrCat("tokenizer.json: regular expression ", Quoted(pattern_), ": ",
                                       std::string(construct), " at byte ", item_begin_,
                                       " is not supported"));
}

absl::StatusOr<std::string> Translator::Translate() {
  if (!IsUtf8(pattern_)) return BadCheckpoint("tokenizer.json: a regular expression is no valid UTF-8");
  while (!AtEnd()) INDUCT_RETURN_IF_ERROR(Item());
  item_begin_ = at_;
  if (groups_.size() != 1) return Refuse("a group that is not closed");
  return std::move(out_);
}

absl::Status Translator::Item() {
  item_begin_ = at_;
  switch (pattern_[at_]) {
    case '(':
      return OpenGroup();
    case ')':
      return CloseGroup();
    case '[':
      return Class();
    case '?':
    case '*':
    case '+':
    case '{':
      return Quantifier();
    case '^':
    case '$':
    case '}':
    case ']':
      return Refuse(Quoted(pattern_.substr(at_, 1)));
    default:
      break;
  }
  if (Take("|")) {
    out_ += '|';
    groups_.back().EndAlternative();
    quantifiable_ = false;
    caseless_before_ = '\0';
    return absl::OkStatus();
  }
  if (Take(".")) return EmitOne({.code_point = {}, .set = CodePointPattern('\n'), .negated = true});
  if (!Take("\\")) return EmitOne({.code_point = TakeCodePoint(), .set = ""});
  INDUCT_ASSIGN_OR_RETURN(const OneCharacter one, Escape());
  return EmitOne(one);
}

absl::Status Translator::OpenGroup() {
  bool caseless = groups_.back().caseless;
  std::string opening = "(?:";
  if (Take("(?i:")) {
    caseless = true;
    opening = "(?i:";
  } else if (Take("(?")) {
    at_ = item_begin_;
    bool known = false;
    for (const char* kind : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (!Take(kind)) continue;
      opening = kind;
      known = true;
      break;
    }
    if (!known) return Refuse(Quoted(pattern_.substr(at_, 3)));
  } else {
    Take("(");  // what a group captures matters to nobody
  }
  const bool looks_around = opening.find_first_of("=!") != std::string::npos;
  groups_.push_back({.caseless = caseless, .looks_around = looks_around});
  out_ += opening;
  quantifiable_ = false;
  return absl::OkStatus();
}

absl::Status Translator::CloseGroup() {
  if (groups_.size() == 1) return Refuse("')' without a group");
  Take(")");
  groups_.back().EndAlternative();
  const Group group = groups_.back();
  groups_.pop_back();
  groups_.back().Add(group.looks_around || group.may_be_empty);
  out_ += ')';
  quantifiable_ = !group.looks_around;
  return absl::OkStatus();
}

// ?, *, +, each also lazy or possessive, and {n}, {n,}, {,m}, {n,m}, whose lazy and possessive forms mean
// something else in Ruby's syntax.
absl::Status Translator::Quantifier() {
  if (!quantifiable_) return Refuse(Quoted(pattern_.substr(at_, 1)));
  quantifiable_ = false;
  // The two engines differ in when they stop repeating nothing.
  bool& may_be_empty = groups_.back().item_may_be_empty;
  if (may_be_empty && pattern_[at_] != '?') return Refuse("a repeated group that may match the empty text");
  if (pattern_[at_] == '{') {
    INDUCT_ASSIGN_OR_RETURN(const std::string interval, Interval());
    may_be_empty = interval.starts_with("{0");
    out_ += interval;
    return absl::OkStatus();
  }
  may_be_empty |= pattern_[at_] != '+';
  out_ += pattern_[at_++];
  if (Take("?")) {
    out_ += '?';
  } else if (Take("+")) {
    out_ += '+';
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Translator::Interval() {
  const size_t end = pattern_.find('}', at_);
  if (end == std::string_view::npos) return Refuse("'{'");
  const std::string_view inside = pattern_.substr(at_ + 1, end - at_ - 1);
  const size_t comma = inside.find(',');
  const std::string_view low = inside.substr(0, comma);
  const std::string_view high = comma == std::string_view::npos ? low : inside.substr(comma + 1);
  const auto is_number = [](std::string_view digits) {
    return digits.size() <= 5 && std::ranges::all_of(digits, absl::ascii_isdigit);
  };
  if (!is_number(low) || !is_number(high) || (low.empty() && high.empty())) return Refuse("'{'");
  at_ = end + 1;
  const std::string from = low.empty() ? "0" : std::string(low);
  if (comma == std::string_view::npos) return absl::StrCat("{", from, "}");
  return absl::StrCat("{", from, ",", std::string(high), "}");
}

absl::Status Translator::Class() {
  Take("[");
  const bool negated = Take("^");
  if (Take("]")) return Refuse("']' as the first of a class");
  std::string inside;
  while (!Take("]")) {
    if (AtEnd()) return Refuse("a class that is not closed");
    INDUCT_ASSIGN_OR_RETURN(const std::string range, ClassRange());
    inside += range;
  }
  // Oniguruma may take a class of one letter for the letter, which then is part of a pair.
  if (groups_.back().caseless && (negated || inside.size() == 1))
    return Refuse("a class of one letter, or a negated one, where case does not count");
  absl::StrAppend(&out_, negated ? "[^" : "[", inside, "]");
  caseless_before_ = '\0';
  groups_.back().Add(false);
  quantifiable_ = true;
  return absl::OkStatus();
}

// A member of a class, or two with a hyphen between them.
absl::StatusOr<std::string> Translator::ClassRange() {
  INDUCT_ASSIGN_OR_RETURN(const OneCharacter first, ClassMember());
  const std::string_view rest = pattern_.substr(at_);
  if (!rest.starts_with('-') || rest.starts_with("-]"))
    return first.code_point ? CodePointPattern(*first.code_point) : first.set;
  if (!first.code_point) return Refuse("a range that begins with a set");
  Take("-");
  if (AtEnd()) return Refuse("a class that is not closed");
  INDUCT_ASSIGN_OR_RETURN(const OneCharacter last, ClassMember());
  if (!last.code_point) return Refuse("a range that ends with a set");
  return absl::StrCat(CodePointPattern(*first.code_point), "-", CodePointPattern(*last.code_point));
}

absl::StatusOr<OneCharacter> Translator::ClassMember() {
  if (pattern_[at_] == '[') return Refuse("a class within a class");
  if (pattern_.substr(at_).starts_with("&&")) return Refuse("'&&'");
  OneCharacter one;
  if (Take("\\")) {
    INDUCT_ASSIGN_OR_RETURN(one, Escape());
  } else {
    one.code_point = TakeCodePoint();
  }
  if (groups_.back().caseless && (!one.code_point || *one.code_point >= 0x80)) return Refuse(kOnlyAscii);
  if (!one.negated) return one;
  if (one.set != kWhiteSpace) return Refuse("a negated set within a class");
  return OneCharacter{.code_point = {}, .set = kNoWhiteSpace};
}

// What follows a backslash.
absl::StatusOr<OneCharacter> Translator::Escape() {
  if (AtEnd()) return Refuse("'\\'");
  const char c = pattern_[at_];
  if (c == 'x' || c == 'u') return HexEscape();
  ++at_;
  constexpr std::string_view kControls = "ntrfvae";
  constexpr std::string_view kTheirCodes = "\n\t\r\f\v\a\x1b";
  if (const size_t control = kControls.find(c); control != std::string_view::npos)
    return OneCharacter{.code_point = kTheirCodes[control], .set = ""};
  if (c == 's' || c == 'S') return OneCharacter{.code_point = {}, .set = kWhiteSpace, .negated = c == 'S'};
  if (c == 'd' || c == 'D')
    return OneCharacter{.code_point = {}, .set = CategoryPattern("Nd"), .negated = c == 'D'};
  if (c == 'p' || c == 'P') return Category(c == 'P');
  if (!absl::ascii_ispunct(static_cast<unsigned char>(c)) && c != ' ')
    return Refuse(Quoted(pattern_.substr(at_ - 2, 1 + CodePointAt(pattern_, at_ - 1).bytes)));
  return OneCharacter{.code_point = c, .set = ""};
}

absl::StatusOr<OneCharacter> Translator::Category(bool negated) {
  const size_t end = pattern_.find('}', at_);
  if (!Take("{") || end == std::string_view::npos) return Refuse("'\\p' without a name in braces");
  const std::string_view name = pattern_.substr(at_, end - at_);
  if (std::ranges::find(kCategories, name) == std::end(kCategories))
    return Refuse(absl::StrCat("property ", Quoted(name)));
  at_ = end + 1;
  return OneCharacter{.code_point = {}, .set = CategoryPattern(name), .negated = negated};
}

// \x{H..} and \uHHHH.
absl::StatusOr<OneCharacter> Translator::HexEscape() {
  std::string digits;
  if (Take("x{")) {
    const size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) return Refuse("'\\x'");
    digits = std::string(pattern_.substr(at_, std::min<size_t>(end - at_, 9)));
    at_ = end + 1;
  } else if (Take("u")) {
    digits = std::string(pattern_.substr(at_, 4));
    at_ += digits.size();
    if (digits.size() < 4) return Refuse("'\\u' without four digits");
  } else {
    return Refuse("'\\x' without braces");
  }
  uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [read_to, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc() || read_to != end || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
    return Refuse("a code point that is none");
  return OneCharacter{.code_point = value, .set = ""};
}

absl::Status Translator::EmitOne(const OneCharacter& one) {
  groups_.back().Add(false);
  if (groups_.back().caseless) return EmitCaseless(one);
  out_ += one.code_point ? CodePointPattern(*one.code_point)
                         : absl::StrCat(one.negated ? "[^" : "[", one.set, "]");
  quantifiable_ = true;
  return absl::OkStatus();
}

absl::Status Translator::EmitCaseless(const OneCharacter& one) {
  if (!one.code_point || *one.code_point >= 0x80) return Refuse(kOnlyAscii);
  const char c = absl::ascii_tolower(static_cast<unsigned char>(*one.code_point));
  const char pair[] = {caseless_before_, c};
  for (const std::string_view folded : kFoldedPairs) {
    if (folded == std::string_view(pair, 2))
      return Refuse(absl::StrCat(Quoted(folded), " where case does not count"));
  }
  caseless_before_ = c;
  out_ += CodePointPattern(*one.code_point);
  quantifiable_ = false;  // a repeated letter is a pair
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> TranslateRegex(std::string_view pattern) {
  return Translator(pattern).Translate();
}

std::string LiteralRegex(std::string_view text) {
  std::string pattern;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    at += point.bytes;
    pattern += CodePointPattern(point.value);
  }
  return pattern;
}

}  // namespace induct::checkpoint
