// The settings that saved runs were made with, from its config.yaml.
#pragma once

#include <string>
#include <vector>

#include "client/saved_run.h"

namespace induct::client {

// Whether the run's prompts were given and not generated.
bool HasGivenPrompts(const SavedRun& run);

// "ABAB, NAMES of lag 4, 8, 16, 32", or that they were given.
std::string PromptsText(const SavedRun& run);

// Every setting that had an effect on any of the runs, with its value: where runs differ, each value with the
// runs that have it. REQUIRES: a name for each run.
struct SettingUsed {
  std::string name, value;
};
std::vector<SettingUsed> SettingsUsed(const std::vector<SavedRun>& runs,
                                      const std::vector<std::string>& names);

// Equal for runs whose prompts are the same, where their models' tokenizers are: seed and settings of
// prompts; of given prompts no two runs' are known to be.
std::string PromptsKey(const SavedRun& run);

}  // namespace induct::client
