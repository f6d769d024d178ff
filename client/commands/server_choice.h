// The flags by which every command finds its server.
#pragma once

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/client_settings.h"
#include "client/connection.h"

namespace induct::client {

struct ServerChoice {
  std::string server;         // --server
  std::string settings_file;  // --settings
};

void AddServerFlags(CLI::App* command, ServerChoice* choice);

// The address of the server that the settings of flags, environment and client's file name; INVALID_ARGUMENT
// where they name none.
absl::StatusOr<std::string> ServerAddress(const ServerChoice& choice);

// To the server that the settings name. Where they name none: to one started for this command, if
// `may_start_one`, else INVALID_ARGUMENT.
absl::StatusOr<std::unique_ptr<Connection>> Connect(const ClientSettings& settings, bool may_start_one);
// The same with the settings of flags, environment and client's file.
absl::StatusOr<std::unique_ptr<Connection>> Connect(const ServerChoice& choice, bool may_start_one);

}  // namespace induct::client
