#include "client/commands/server_choice.h"

#include "common/settings.h"
#include "common/status.h"

namespace induct::client {
namespace {

absl::StatusOr<ClientSettings> SettingsOf(const ServerChoice& choice) {
  Settings flags;
  if (!choice.server.empty()) INDUCT_RETURN_IF_ERROR(flags.SetText(*FindSettingKey("server"), choice.server));
  return GatherSettings(flags, choice.settings_file);
}

absl::Status NoServer() {
  return absl::InvalidArgumentError(
      "this command needs a server: give --server HOST:PORT, set INDUCT_SERVER, or write `server: "
      "HOST:PORT` into "
      "~/.config/induct/client.yaml");
}

}  // namespace

void AddServerFlags(CLI::App* command, ServerChoice* choice) {
  command->add_option("--server", choice->server, "host:port or unix:/path of induct-server")
      ->type_name("ADDRESS");
  command
      ->add_option("--settings", choice->settings_file,
                   "Settings file [default ~/.config/induct/client.yaml]")
      ->type_name("FILE");
}

absl::StatusOr<std::string> ServerAddress(const ServerChoice& choice) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, SettingsOf(choice));
  std::string address = settings.values.Text("server");
  if (address.empty()) return NoServer();
  return address;
}

absl::StatusOr<std::unique_ptr<Connection>> Connect(const ServerChoice& choice, bool may_start_one) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, SettingsOf(choice));
  return Connect(settings, may_start_one);
}

absl::StatusOr<std::unique_ptr<Connection>> Connect(const ClientSettings& settings, bool may_start_one) {
  const std::string address = settings.values.Text("server");
  if (address.empty() && !may_start_one) return NoServer();
  return Connection::Open(address, settings.file,
                          {.patience = absl::Seconds(settings.values.Real("reconnect_seconds"))});
}

}  // namespace induct::client
