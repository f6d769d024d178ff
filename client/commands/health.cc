// induct-client health: whether a server takes work, for scripts and the health checks of containers.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/address.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/connection.h"
#include "client/exit_code.h"
#include "client/rpc_error.h"
#include "common/status.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace induct::client {
namespace {

namespace health = grpc::health::v1;

struct HealthOptions {
  ServerChoice server;
  double timeout = 10;  // seconds
};

// Not through a Connection, which asks first who the server is: this has to be one call that waits for
// nothing else.
absl::StatusOr<health::HealthCheckResponse> AskHealth(const std::string& target, double timeout) {
  const auto stub = health::Health::NewStub(ChannelTo(target));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(1000 * timeout)));
  health::HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, health::HealthCheckRequest(), &response);
  if (status.ok()) return response;
  const bool nobody = IsTransportError(status) || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  return nobody ? CannotReach(target, status) : AnswersOtherwise(target, status);
}

absl::Status RunHealth(const HealthOptions& options) {
  INDUCT_ASSIGN_OR_RETURN(const std::string address, ServerAddress(options.server));
  INDUCT_ASSIGN_OR_RETURN(const std::string target, ParseAddress(address));
  INDUCT_ASSIGN_OR_RETURN(const health::HealthCheckResponse response, AskHealth(target, options.timeout));
  if (response.status() != health::HealthCheckResponse::SERVING) {
    return WithExitCode(absl::UnavailableError(absl::StrCat(
                            target, ": NOT_SERVING; it is shutting down and takes no more jobs")),
                        ExitCode::kBusy);
  }
  std::printf("%s: SERVING\n", target.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddHealthCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<HealthOptions>();
  CLI::App* command = app->add_subcommand("health", "Tell whether a server takes jobs");
  AddServerFlags(command, &options->server);
  command->add_option("--timeout", options->timeout, "Seconds to wait for the answer [default 10]")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
  command->footer("Exits with 0 where it does, 5 where it is shutting down, 3 where it does not answer.");
  command->callback([options, action] { *action = [options](Interrupt*) { return RunHealth(*options); }; });
}

}  // namespace induct::client
