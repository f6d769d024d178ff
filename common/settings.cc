#include "common/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status.h"

namespace induct {
namespace {

using enum SettingType;

std::string InQuotes(const std::string& value) { return absl::StrCat("\"", value, "\""); }

std::vector<std::string> Choices(const SettingKey& key) {
  return absl::StrSplit(absl::string_view(key.choices.data(), key.choices.size()), '|');
}

absl::Status Refuse(const SettingKey& key, const std::string& given, const std::string& allowed) {
  return InvalidField(
      key.path, absl::StrCat(given.empty() ? "nothing" : InQuotes(given), " given, ", allowed, " needed"));
}

std::string NumberText(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return value == std::floor(value) && std::abs(value) < 1e15 ? absl::StrCat(static_cast<int64_t>(value))
                                                              : std::string(text.data(), end);
}

std::string RangeText(const SettingKey& key) {
  const std::string max = key.max == kMaxOf64Bits ? "2^64 - 1" : NumberText(key.max);
  std::string text = absl::StrCat(key.type == kReal ? "a number" : "a whole number", " from ",
                                  NumberText(key.min), " to ", key.max_excluded ? "below " : "", max);
  if (!key.zero_word.empty()) absl::StrAppend(&text, ", or ", std::string(key.zero_word));
  return text;
}

absl::StatusOr<std::string> CheckInteger(const SettingKey& key, const std::string& value) {
  if (!key.zero_word.empty() && (value == key.zero_word || value == "0")) return "0";
  if (key.min < 0) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < key.min || number > key.max)
      return Refuse(key, value, RangeText(key));
    return absl::StrCat(number);
  }
  uint64_t number = 0;
  const bool parsed = !value.empty() && absl::ascii_isdigit(static_cast<unsigned char>(value[0])) &&
                      absl::SimpleAtoi(value, &number);
  const bool in_range = parsed && (key.max == kMaxOf64Bits || static_cast<double>(number) <= key.max) &&
                        static_cast<double>(number) >= key.min;
  if (!in_range) return Refuse(key, value, RangeText(key));
  return absl::StrCat(number);
}

absl::StatusOr<std::string> CheckReal(const SettingKey& key, const std::string& value) {
  double number = 0;
  if (!absl::SimpleAtod(value, &number) || !std::isfinite(number) || number < key.min || number > key.max ||
      (key.max_excluded && number == key.max)) {
    return Refuse(key, value, RangeText(key));
  }
  return NumberText(number);
}

absl::StatusOr<std::string> CheckOne(const SettingKey& key, const std::string& value) {
  switch (key.type) {
    case kFlag:
      if (value == "true" || value == "false") return value;
      return Refuse(key, value, "true or false");
    case kInteger:
    case kIntegers:
      return CheckInteger(key, value);
    case kReal:
      return CheckReal(key, value);
    case kWord:
    case kWords: {
      const std::vector<std::string> choices = Choices(key);
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
      return Refuse(key, value, absl::StrCat("one of ", absl::StrJoin(choices, ", ")));
    }
    case kText:
    case kTexts:
      if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20; })) {
        return Refuse(key, "text with control characters", "plain text");
      }
      return value;
  }
  return absl::InternalError("a setting without a type");
}

bool IsList(SettingType type) { return type == kIntegers || type == kWords || type == kTexts; }

std::vector<std::string> SplitText(const SettingKey& key, std::string_view text) {
  const absl::string_view view(text.data(), text.size());
  if (!IsList(key.type)) return {std::string(absl::StripAsciiWhitespace(view))};
  std::vector<std::string> values;
  for (absl::string_view part : absl::StrSplit(view, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (!part.empty()) values.emplace_back(part);
  }
  return values;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckSetting(const SettingKey& key,
                                                      const std::vector<std::string>& values) {
  if (!IsList(key.type) && values.size() != 1) return Refuse(key, absl::StrJoin(values, ", "), "one value");
  if ((key.type == kIntegers || key.type == kWords) && values.empty())
    return Refuse(key, "", "at least one value");
  std::vector<std::string> checked;
  std::set<std::string> seen;
  for (const std::string& value : values) {
    INDUCT_ASSIGN_OR_RETURN(std::string one, CheckOne(key, value));
    if (!seen.insert(one).second) return InvalidField(key.path, absl::StrCat(InQuotes(one), " is given twice"));
    checked.push_back(std::move(one));
  }
  return checked;
}

absl::Status Settings::SetText(const SettingKey& key, std::string_view text) {
  return Set(key, SplitText(key, text));
}

absl::Status Settings::Set(const SettingKey& key, const std::vector<std::string>& values) {
  INDUCT_ASSIGN_OR_RETURN(values_[std::string(key.path)], CheckSetting(key, values));
  return absl::OkStatus();
}

void Settings::Override(const Settings& other) {
  for (const auto& [path, values] : other.values_) values_[path] = values;
}

std::vector<std::string> Settings::Values(const SettingKey& key) const {
  if (const auto it = values_.find(key.path); it != values_.end()) return it->second;
  return CheckSetting(key, SplitText(key, key.default_value)).value();
}

bool Settings::Flag(std::string_view path) const { return Text(path) == "true"; }
uint64_t Settings::Integer(std::string_view path) const {
  return std::strtoull(Text(path).c_str(), nullptr, 10);
}
double Settings::Real(std::string_view path) const { return std::strtod(Text(path).c_str(), nullptr); }
std::string Settings::Text(std::string_view path) const { return Values(*FindSettingKey(path)).at(0); }

std::vector<uint64_t> Settings::Integers(std::string_view path) const {
  std::vector<uint64_t> numbers;
  for (const std::string& value : Texts(path)) numbers.push_back(std::strtoull(value.c_str(), nullptr, 10));
  return numbers;
}

std::vector<std::string> Settings::Texts(std::string_view path) const {
  return Values(*FindSettingKey(path));
}

absl::StatusOr<Settings> SettingsFromEnvironment() {
  Settings settings;
  for (const SettingKey& key : SettingKeys()) {
    const std::string name = SettingEnvironment(key);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    if (absl::Status status = settings.SetText(key, value); !status.ok()) {
      return Annotate(status, absl::StrCat("environment variable ", name));
    }
  }
  return settings;
}

std::string NearestWord(std::string_view word, std::span<const std::string> known, size_t most_edits) {
  const auto distance = [&](std::string_view other) {
    std::vector<size_t> row(other.size() + 1);
    for (size_t j = 0; j <= other.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= other.size(); ++j) {
        const size_t replaced = diagonal + (word[i - 1] != other[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
      }
    }
    return row[other.size()];
  };
  std::string best;
  size_t best_distance = std::min(std::max<size_t>(2, word.size() / 3), most_edits) + 1;
  for (const std::string& candidate : known) {
    if (const size_t d = distance(candidate); d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace induct
