// The settings that a saved run was made with, from its config.yaml.
#pragma once

#include <string>

#include "client/saved_run.h"

namespace induct::client {

// Whether the run's prompts were given and not generated.
bool HasGivenPrompts(const SavedRun& run);

// "ABAB, NAMES of lag 4, 8, 16, 32", or that they were given.
std::string PromptsText(const SavedRun& run);

// Every setting that has an effect on the run's command, "seq_len 256; n_repeats 2; ..."; "-" where
// config.yaml is missing or cannot be read.
std::string SettingsText(const SavedRun& run);

// Equal for runs whose prompts are the same, where their models' tokenizers are: seed and settings of
// prompts; of given prompts no two runs' are known to be.
std::string PromptsKey(const SavedRun& run);

}  // namespace induct::client
