// induct-client models: what a server can profile.
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/rpc_error.h"
#include "client/table.h"
#include "common/status.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr absl::Duration kTimeout =
    absl::Seconds(60);  // many checkpoints' headers may have to be read from a slow disk

struct Options {
  ServerChoice server;
  bool json = false;
};

// "410M", "1.01B".
std::string CountText(double count) {
  for (const auto& [unit, name] : {std::pair{1e9, "B"}, {1e6, "M"}, {1e3, "k"}}) {
    if (count >= unit) return absl::StrFormat("%.3g%s", count / unit, name);
  }
  return absl::StrCat(count);
}

std::string FormatModels(const v1::ListModelsResponse& response) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::Model& model : response.models()) {
    if (!model.problem().empty()) {
      rows.push_back({model.name(), model.architecture(), "", "", "", "", "", "", model.problem()});
      continue;
    }
    rows.push_back({model.name(), model.architecture(), absl::StrCat(model.n_layers()),
                    absl::StrCat(model.n_heads()), CountText(model.n_parameters()), model.stored_dtype(),
                    model.has_tokenizer() ? "yes" : "no", model.resident() ? "yes" : "no", ""});
  }
  return FormatTable(
      {"NAME", "ARCHITECTURE", "LAYERS", "HEADS", "PARAMETERS", "DTYPE", "TOKENIZER", "RESIDENT", "PROBLEM"},
      rows);
}

absl::Status Run(const Options& options) {
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/true));
  Call call(connection.get(), kTimeout);
  v1::ListModelsResponse response;
  INDUCT_RETURN_IF_ERROR(
      FromGrpcStatus(connection->models().ListModels(call.context(), v1::ListModelsRequest(), &response)));
  std::string text;
  if (options.json) {
    INDUCT_ASSIGN_OR_RETURN(text, ToJson(response));
  } else {
    text = response.models().empty() ? "the server has no models: see model_dirs in its settings\n"
                                     : FormatModels(response);
  }
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddModelsCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand("models", "List the models that the server can profile");
  AddServerFlags(command, &options->server);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, action] { *action = [options](Interrupt*) { return Run(*options); }; });
}

}  // namespace induct::client
