#include "client/commands/server_choice.h"

#include "common/settings.h"
#include "common/status.h"

namespace induct::client {

void AddServerFlags(CLI::App* command, ServerChoice* choice) {
  command->add_option("--server", choice->server, "host:port or unix:/path of induct-server")
      ->type_name("ADDRESS");
  command
      ->add_option("--settings", choice->settings_file,
                   "Settings file [default ~/.config/induct/client.yaml]")
      ->type_name("FILE");
}

absl::StatusOr<std::unique_ptr<Connection>> Connect(const ServerChoice& choice, bool may_start_one) {
  Settings flags;
  if (!choice.server.empty()) INDUCT_RETURN_IF_ERROR(flags.SetText(*FindSettingKey("server"), choice.server));
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(flags, choice.settings_file));
  return Connect(settings, may_start_one);
}

absl::StatusOr<std::unique_ptr<Connection>> Connect(const ClientSettings& settings, bool may_start_one) {
  const std::string address = settings.values.Text("server");
  if (address.empty() && !may_start_one) {
    return absl::InvalidArgumentError(
        "this command needs a server: give --server HOST:PORT, set INDUCT_SERVER, or write `server: "
        "HOST:PORT` into "
        "~/.config/induct/client.yaml");
  }
  return Connection::Open(address, settings.file,
                          {.patience = absl::Seconds(settings.values.Real("reconnect_seconds"))});
}

}  // namespace induct::client
