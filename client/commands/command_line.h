// Flags: those that settings are, made from the one table of settings, and how a command line is read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "common/settings.h"

namespace induct::client {

// The texts that setting flags were given, by setting.
using FlagTexts = std::map<const SettingKey*, std::string>;

// Adds a flag for each setting of `owner` that has an effect on the command, in groups as settings.yaml has
// them; `texts` must outlive the parse.
void AddSettingFlags(CLI::App* command, SettingOwner owner, FlagTexts* texts);

// The flags that were given, checked. INVALID_ARGUMENT names the flag.
absl::StatusOr<Settings> SettingsFromFlags(const CLI::App& command, const FlagTexts& texts);

// The arguments with hyphens in flags' names made underscores, and "--memory_saver" standing alone made
// "--memory_saver=true", so that the parser sees one spelling.
std::vector<std::string> NormalizeArguments(std::vector<std::string> arguments);

// What to say about arguments that no flag matches: the flag nearest to the first of them, or, where they follow
// the one model of --model, the command that takes several.
std::string DescribeUnknown(const CLI::App& command, const std::vector<std::string>& unknown);

}  // namespace induct::client
