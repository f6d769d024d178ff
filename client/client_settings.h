// The settings that a command runs with, from flags, environment and the client's file.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/settings.h"

namespace induct::client {

struct ClientSettings {
  Settings values;
  std::string file;  // that was read; empty: none. A private server gets it, too
};

// A flag beats the environment, which beats the file: `settings_file`, else
// $XDG_CONFIG_HOME/induct/client.yaml or
// ~/.config/induct/client.yaml where there is one.
// Errors are the user's to mend: exit code kUsage.
absl::StatusOr<ClientSettings> GatherSettings(const Settings& flags, const std::string& settings_file);

// A sentence for each environment variable that is almost a setting's: what it was meant to set is not set.
// Others that begin with INDUCT_ belong to whom they belong to.
std::vector<std::string> MisspeltVariables();

}  // namespace induct::client
