#include "client/report/run_settings.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/file_names.h"
#include "common/settings.h"

namespace induct::client {
namespace {

// "lag_values 4,8" for each request setting that `takes` wants.
template <typename Takes>
std::string Join(const SavedRun& run, const Takes& takes) {
  const auto settings = ParseSettings(run.config, kConfigFile);
  if (!settings.ok()) return "";
  std::vector<std::string> parts;
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest || !takes(key)) continue;
    parts.push_back(absl::StrCat(SettingFlag(key), " ", absl::StrJoin(settings->Values(key), ",")));
  }
  return absl::StrJoin(parts, "; ");
}

bool IsOfPrompts(const SettingKey& key) {
  return absl::StartsWith(std::string(key.path), "prompts.") || key.path == "seed" || key.path == "seq_len";
}

}  // namespace

// The first line of config.yaml says how to repeat the run.
bool HasGivenPrompts(const SavedRun& run) {
  return absl::StrContains(run.config.substr(0, run.config.find('\n')), " --prompts ");
}

std::string PromptsText(const SavedRun& run) {
  if (HasGivenPrompts(run)) return "given by the user";
  const auto settings = ParseSettings(run.config, kConfigFile);
  if (!settings.ok()) return "-";
  return absl::StrCat(absl::StrJoin(settings->Texts("prompts.task_types"), ", "), " of lag ",
                      absl::StrJoin(settings->Integers("prompts.lag_values"), ", "));
}

std::string SettingsText(const SavedRun& run) {
  const std::string text = Join(run, [&](const SettingKey& key) {
    return HasEffectOn(key, run.metadata.command()) && !absl::StartsWith(std::string(key.path), "job.");
  });
  return text.empty() ? "-" : text;
}

std::string PromptsKey(const SavedRun& run) {
  return HasGivenPrompts(run) ? run.path : Join(run, IsOfPrompts);
}

}  // namespace induct::client
