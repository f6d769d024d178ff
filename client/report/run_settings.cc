#include "client/report/run_settings.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/kinds.h"
#include "common/file_names.h"
#include "common/settings.h"

namespace induct::client {
namespace {

// As a flag would be given: "4,8", "auto".
std::string ValueText(const Settings& settings, const SettingKey& key) {
  const std::string value = absl::StrJoin(settings.Values(key), ",");
  return value == "0" && !key.zero_word.empty() ? std::string(key.zero_word) : value;
}

bool IsOfPrompts(const SettingKey& key) {
  return absl::StartsWith(std::string(key.path), "prompts.") || key.path == "seed" || key.path == "seq_len";
}

}  // namespace

bool HasGivenPrompts(const SavedRun& run) { return run.metadata.n_given_prompts() > 0; }

std::string PromptsText(const SavedRun& run) {
  if (HasGivenPrompts(run)) return "given by the user";
  const auto settings = ParseSettings(run.config, kConfigFile);
  if (!settings.ok()) return "-";
  return absl::StrCat(absl::StrJoin(settings->Texts("prompts.task_types"), ", "), " of lag ",
                      absl::StrJoin(settings->Integers("prompts.lag_values"), ", "));
}

std::vector<SettingUsed> SettingsUsed(const std::vector<SavedRun>& runs,
                                      const std::vector<std::string>& names) {
  std::vector<SettingUsed> used;
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest || absl::StartsWith(std::string(key.path), "job.")) continue;
    std::vector<std::pair<std::string, std::vector<std::string>>>
        values;  // and who has them, in the runs' order
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto settings = ParseSettings(runs[i].config, kConfigFile);
      if (!settings.ok() || !HasEffectOn(key, runs[i].metadata.command())) continue;
      const std::string value = ValueText(*settings, key);
      auto it =
          std::find_if(values.begin(), values.end(), [&](const auto& known) { return known.first == value; });
      if (it == values.end()) it = values.insert(values.end(), {value, {}});
      it->second.push_back(names[i]);
    }
    if (values.empty()) continue;
    const bool same = values.size() == 1;
    used.push_back(
        {SettingFlag(key),
         same ? values[0].first : absl::StrJoin(values, "; ", [](std::string* out, const auto& value) {
           absl::StrAppend(out, value.first, " (", absl::StrJoin(value.second, ", "), ")");
         })});
  }
  return used;
}

std::string PromptsKey(const SavedRun& run) {
  if (HasGivenPrompts(run)) return run.path;
  const auto settings = ParseSettings(run.config, kConfigFile);
  if (!settings.ok()) return run.path;
  std::string key_text;
  for (const SettingKey& key : SettingKeys()) {
    if (IsOfPrompts(key)) absl::StrAppend(&key_text, SettingFlag(key), " ", ValueText(*settings, key), "; ");
  }
  return key_text;
}

}  // namespace induct::client
