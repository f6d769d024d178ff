// Settings from and to YAML.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/settings.h"
#include "common/status.h"

namespace induct {
namespace {

// Walks a document and sets what it finds; every error names file and line.
class SettingsReader {
 public:
  SettingsReader(const std::string& file, Settings* settings) : file_(file), settings_(settings) {}

  absl::Status ReadMap(const YAML::Node& map, const std::string& prefix) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar())
        return At(entry.first, absl::InvalidArgumentError("a key must be a plain word"));
      const std::string word = entry.first.Scalar();
      if (!seen.insert(word).second) {
        return At(entry.first, InvalidField(prefix + word, "the key stands here a second time"));
      }
      INDUCT_RETURN_IF_ERROR(ReadEntry(entry.first, entry.second, prefix + word));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status At(const YAML::Node& node, const absl::Status& status) const {
    return Annotate(status, absl::StrCat(file_, ":", node.Mark().line + 1));
  }

  absl::Status ReadEntry(const YAML::Node& key_node, const YAML::Node& value, const std::string& path) {
    if (const SettingKey* key = FindSettingKey(path)) return ReadValue(*key, key_node, value);
    if (IsGroup(path)) {
      if (value.IsNull()) return absl::OkStatus();
      if (!value.IsMap()) return At(key_node, InvalidField(path, "a group of keys is needed"));
      return ReadMap(value, path + ".");
    }
    return At(key_node, Unknown(path));
  }

  absl::Status ReadValue(const SettingKey& key, const YAML::Node& key_node, const YAML::Node& value) {
    std::vector<std::string> values;
    if (value.IsScalar()) {
      values.push_back(value.Scalar());
    } else if (value.IsSequence()) {
      for (const YAML::Node& item : value) {
        const bool has_id = key.type == SettingType::kTexts && item.IsMap() && item.size() >= 1 &&
                            item["id"] && item["id"].IsScalar();
        if (!has_id && !item.IsScalar()) {
          return At(item,
                    InvalidField(key.path, key.type == SettingType::kTexts
                                               ? "a list of values, or of entries {id: VALUE}, is needed"
                                               : "a list of plain values is needed"));
        }
        values.push_back(has_id ? item["id"].Scalar() : item.Scalar());
      }
    } else {
      return At(key_node,
                InvalidField(key.path, value.IsNull() ? "a value is missing" : "a plain value is needed"));
    }
    return At(key_node, settings_->Set(key, values));
  }

  static bool IsGroup(const std::string& path) {
    for (const SettingKey& key : SettingKeys()) {
      if (key.path.starts_with(path + ".")) return true;
    }
    return false;
  }

  // Names the nearest known key, or the path of a key that stands in the wrong group.
  static absl::Status Unknown(const std::string& path) {
    std::vector<std::string> known;
    const std::string last = path.substr(path.rfind('.') + 1);
    for (const SettingKey& key : SettingKeys()) {
      if (SettingFlag(key) == last) {
        return InvalidField(path,
                            absl::StrCat("there is no such key; did you mean ", std::string(key.path), "?"));
      }
      known.emplace_back(key.path);
    }
    const std::string nearest = NearestWord(path, known);
    return InvalidField(path, nearest.empty()
                                  ? "there is no such key"
                                  : absl::StrCat("there is no such key; did you mean ", nearest, "?"));
  }

  const std::string file_;
  Settings* const settings_;
};

// Free text is quoted: a model named "no" or "123" must not read back as another type elsewhere.
bool NeedsQuotes(const SettingKey& key) {
  return key.type == SettingType::kText || key.type == SettingType::kTexts;
}

}  // namespace

absl::StatusOr<Settings> ParseSettings(const std::string& text, const std::string& name) {
  Settings settings;
  try {
    const YAML::Node document = YAML::Load(text);
    if (document.IsNull()) return settings;
    if (!document.IsMap())
      return absl::InvalidArgumentError(absl::StrCat(name, ": keys and values are needed"));
    INDUCT_RETURN_IF_ERROR(SettingsReader(name, &settings).ReadMap(document, ""));
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.is_null() ? "" : absl::StrCat(":", e.mark.line + 1);
    const bool tab =
        e.msg.find("tab") != std::string::npos || e.msg.find("illegal map value") != std::string::npos;
    return absl::InvalidArgumentError(
        absl::StrCat(name, line, ": no valid YAML: ", e.msg, tab ? " (indent with spaces, not tabs)" : ""));
  }
  return settings;
}

absl::StatusOr<Settings> LoadSettings(const std::string& path) {
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, size_t{1} << 20));
  return ParseSettings(text, path);
}

std::string Settings::ToYaml(std::span<const SettingOwner> owners) const {
  YAML::Emitter out;
  out << YAML::BeginMap;
  std::string group;
  for (const SettingKey& key : SettingKeys()) {
    if (std::find(owners.begin(), owners.end(), key.owner) == owners.end()) continue;
    const size_t dot = key.path.find('.');
    const std::string key_group(dot == std::string_view::npos ? "" : key.path.substr(0, dot));
    if (key_group != group) {
      if (!group.empty()) out << YAML::EndMap;
      if (!key_group.empty()) out << YAML::Key << key_group << YAML::Value << YAML::BeginMap;
      group = key_group;
    }
    const std::vector<std::string> values = Values(key);
    const bool list = key.type == SettingType::kIntegers || key.type == SettingType::kWords ||
                      key.type == SettingType::kTexts;
    out << YAML::Key << SettingFlag(key) << YAML::Value;
    if (list) out << YAML::Flow << YAML::BeginSeq;
    for (const std::string& value : values) {
      if (NeedsQuotes(key)) out << YAML::DoubleQuoted;
      out << value;
    }
    if (list) out << YAML::EndSeq;
  }
  if (!group.empty()) out << YAML::EndMap;
  out << YAML::EndMap;
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace induct
