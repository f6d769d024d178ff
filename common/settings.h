// Every setting there is, in one table: name, type, default, range, whose it is. The server's settings.yaml,
// the client's file, flags and environment variables all go through it, so a key means the same everywhere
// and a wrong value is refused with one sentence.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct {

enum class SettingType {
  kFlag,      // true, false
  kInteger,   // whole number in [min, max]
  kReal,      // number in [min, max], or [min, max) where max_excluded
  kWord,      // one of `choices`
  kText,      // any text without control characters
  kIntegers,  // list of kInteger, no two the same
  kWords,     // list of kWord, no two the same
  kTexts,     // list of kText; entries may be written {id: text}, as the original experiment's `models` are
};

enum class SettingOwner {
  kServer,   // read by induct-server
  kRequest,  // carried by requests: the server's file gives the default, a client's file, environment or flag
             // overrides it
  kClient,   // read by induct-client
};

// `max` of a setting of 64 bits: 2^64 - 1, which no double holds, rounded.
inline constexpr double kMaxOf64Bits = 18446744073709551615.0;

struct SettingKey {
  std::string_view path;  // "prompts.lag_values"; its last word is the client's flag
  SettingType type;
  SettingOwner owner;
  std::string_view default_value;  // as a flag would be given: lists with commas
  double min = 0, max = 0;         // inclusive; of each entry for lists
  std::string_view choices;        // kWord, kWords: "topq|mean"
  std::string_view zero_word;      // a word that stands for 0, for example "auto"
  std::string_view help;           // one sentence
  bool max_excluded = false;
  std::string_view topic =
      {};  // what an analysis must have for it to have an effect, "curves"; empty: nothing
  std::string_view alias = {};  // a second, shorter flag; unique over the table, too
};

// In the order of settings.yaml.
std::span<const SettingKey> SettingKeys();

// By path; nullptr where there is none.
const SettingKey* FindSettingKey(std::string_view path);
// By a flag's name, the path's last word ("lag_values") or the alias; unique over the table.
const SettingKey* FindSettingFlag(std::string_view flag);

// The flag of a key: "lag_values". The environment variable: "INDUCT_PROMPTS_LAG_VALUES".
std::string SettingFlag(const SettingKey& key);
std::string SettingEnvironment(const SettingKey& key);

// Checks one value, or each of a list's, against the key's type and range; "auto" and the like come back as
// the number they stand for. INVALID_ARGUMENT with the path as field, saying what was given and what is
// allowed.
absl::StatusOr<std::vector<std::string>> CheckSetting(const SettingKey& key,
                                                      const std::vector<std::string>& values);

// Values that were set, over the defaults. A plain value: copy it freely; const use is safe from every
// thread.
class Settings {
 public:
  // Sets from one text as a flag or an environment variable gives it: lists are split at commas.
  absl::Status SetText(const SettingKey& key, std::string_view text);
  // Sets from separate values.
  absl::Status Set(const SettingKey& key, const std::vector<std::string>& values);
  // Takes over every value that `other` has set.
  void Override(const Settings& other);

  bool IsSet(std::string_view path) const { return values_.contains(std::string(path)); }

  // The value set, or the default. REQUIRES: the path exists and has that type.
  bool Flag(std::string_view path) const;
  uint64_t Integer(std::string_view path) const;
  double Real(std::string_view path) const;
  std::string Text(std::string_view path) const;  // also kWord
  std::vector<uint64_t> Integers(std::string_view path) const;
  std::vector<std::string> Texts(std::string_view path) const;  // also kWords
  // As text, one entry a value, whatever the type.
  std::vector<std::string> Values(const SettingKey& key) const;

  // A YAML document with every value, defaults included, of the keys whose owner is in `owners`; readable by
  // LoadSettings.
  std::string ToYaml(std::span<const SettingOwner> owners) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// Reads a settings file. INVALID_ARGUMENT naming file and line: YAML that does not parse (tabs), a key twice,
// an unknown key (and the nearest known one), a wrong type, a value out of range. NOT_FOUND where there is no
// such file.
absl::StatusOr<Settings> LoadSettings(const std::string& path);
// The same on text; `name` stands for the file in errors.
absl::StatusOr<Settings> ParseSettings(const std::string& text, const std::string& name);

// Values from INDUCT_... environment variables. INVALID_ARGUMENT naming the variable.
absl::StatusOr<Settings> SettingsFromEnvironment();

// The known word nearest to `word` by edit distance; empty where none is near, or within `most_edits`.
std::string NearestWord(std::string_view word, std::span<const std::string> known,
                        size_t most_edits = SIZE_MAX);

}  // namespace induct
