// induct-client models: what a server can profile, and what it keeps loaded.
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/exit_code.h"
#include "client/model_text.h"
#include "client/progress.h"
#include "client/rpc_error.h"
#include "client/text.h"
#include "common/status.h"
#include "common/utf8.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr absl::Duration kModelsTimeout =
    absl::Seconds(60);  // many checkpoints' headers may have to be read from a slow disk

struct ModelsOptions {
  ServerChoice server;
  bool json = false;
  bool quiet = false;
  std::string name;
  std::string dtype;
  std::string device;
};

template <typename Message>
absl::Status Print(const Message& message, bool json, const std::string& text) {
  std::string shown = text;
  if (json) {
    INDUCT_ASSIGN_OR_RETURN(shown, ToJson(message));
  }
  std::fputs(shown.c_str(), stdout);
  return absl::OkStatus();
}

absl::Status CheckName(const std::string& name) {
  return IsUtf8(name) ? absl::OkStatus() : absl::InvalidArgumentError("the model's name is no valid UTF-8");
}

// The call's error; the model that it may name was given without a flag.
absl::Status ModelError(const grpc::Status& status) {
  const absl::Status error = FromGrpcStatus(status);
  if (error.ok() || FieldOf(error) != "model") return error;
  return WithReason(absl::Status(error.code(), status.error_message()), ReasonOf(error));
}

absl::Status WithBusyCode(const absl::Status& error) {
  const bool busy = absl::IsResourceExhausted(error) || ReasonOf(error) == reason::kDraining;
  return busy ? WithExitCode(error, ExitCode::kBusy) : error;
}

absl::StatusOr<v1::ListModelsResponse> AllModels(Connection* connection) {
  v1::ListModelsResponse all;
  v1::ListModelsRequest request;
  do {
    Call call(connection, kModelsTimeout);
    v1::ListModelsResponse page;
    INDUCT_RETURN_IF_ERROR(FromGrpcStatus(connection->models().ListModels(call.context(), request, &page)));
    all.mutable_models()->MergeFrom(page.models());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::Status ListModels(const ModelsOptions& options) {
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/true));
  INDUCT_ASSIGN_OR_RETURN(const v1::ListModelsResponse models, AllModels(connection.get()));
  return Print(models, options.json,
               models.models().empty() ? "the server has no models: see model_dirs in its settings\n"
                                       : ModelTable(models, absl::Now()));
}

absl::Status Inspect(const ModelsOptions& options) {
  INDUCT_RETURN_IF_ERROR(CheckName(options.name));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/true));
  v1::GetModelRequest request;
  request.set_name(options.name);
  Call call(connection.get(), kModelsTimeout);
  v1::Model model;
  INDUCT_RETURN_IF_ERROR(
      WithBusyCode(ModelError(connection->models().GetModel(call.context(), request, &model))));
  return Print(model, options.json, ModelDescription(model, absl::Now()));
}

// How a load ended that gave no model.
absl::Status LoadFailed(const grpc::Status& status, const Connection& connection) {
  if (status.ok() || (IsTransportError(status) && status.error_details().empty()))
    return connection.Lost(status);
  return WithBusyCode(ModelError(status));
}

// Follows the load to its end, telling how it goes.
absl::StatusOr<v1::Model> FollowLoad(const ModelsOptions& options, Connection* connection) {
  v1::LoadModelRequest request;
  request.set_name(options.name);
  if (!options.dtype.empty()) request.set_dtype(options.dtype);
  if (!options.device.empty()) request.set_device(options.device);
  Progress progress(ChooseProgressStyle(options.quiet), stderr);
  Call call(connection, absl::InfiniteDuration());
  const auto reader = connection->models().LoadModel(call.context(), request);
  v1::LoadModelResponse response;
  while (reader->Read(&response)) {
    v1::JobEvent event;  // what a job that loads the model would say
    *event.mutable_preparing() = response.preparing();
    if (response.has_preparing()) progress.Show(event);
  }
  const grpc::Status status = reader->Finish();
  if (status.ok() && response.has_model()) return response.model();
  return LoadFailed(status, *connection);
}

absl::Status Load(const ModelsOptions& options, Interrupt* interrupt) {
  INDUCT_RETURN_IF_ERROR(CheckName(options.name));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/true));
  const auto abandon = [&] { connection->Abandon(); };  // the server ends a load that nobody follows
  const Interrupt::Scope scope(interrupt, {.cancel = abandon, .abandon = abandon});
  const absl::StatusOr<v1::Model> model = FollowLoad(options, connection.get());
  if (interrupt->requested()) {
    return WithExitCode(absl::CancelledError("interrupted: the load is cancelled; what was downloaded stays"),
                        ExitCode::kInterrupted);
  }
  INDUCT_RETURN_IF_ERROR(model.status());
  const std::string sentence =
      absl::StrFormat("%s is loaded: %s, in %.1f s%s\n", Printable(model->name()),
                      BytesText(model->resident_bytes()), model->load_seconds(),
                      connection->is_private() ? "; the server started for this command ends with it" : "");
  return Print(*model, options.json, sentence);
}

absl::Status Unload(const ModelsOptions& options) {
  INDUCT_RETURN_IF_ERROR(CheckName(options.name));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/false));
  v1::UnloadModelRequest request;
  request.set_name(options.name);
  Call call(connection.get(), kModelsTimeout);
  v1::Model model;
  INDUCT_RETURN_IF_ERROR(ModelError(connection->models().UnloadModel(call.context(), request, &model)));
  return Print(model, options.json, absl::StrCat(Printable(model.name()), " is unloaded\n"));
}

// A command about one model.
CLI::App* AddModelCommand(CLI::App* parent, const std::string& name, const std::string& what,
                          ModelsOptions* options) {
  CLI::App* command = parent->add_subcommand(name, what);
  AddServerFlags(command, &options->server);
  command
      ->add_option("name", options->name,
                   "pythia-410m, gpt2, ORG/NAME, any of them with @REVISION, or a name that `models` lists")
      ->required()
      ->type_name("NAME");
  command->add_flag("--json", options->json, "Print JSON");
  return command;
}

}  // namespace

void AddModelsCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<ModelsOptions>();
  CLI::App* list = app->add_subcommand("models", "List the models that the server has; load and unload them");
  list->require_subcommand(0, 1);
  AddServerFlags(list, &options->server);
  list->add_flag("--json", options->json, "Print JSON");
  // A command's callback comes after those of its subcommands.
  list->callback([list, options, action] {
    if (list->get_subcommands().empty()) *action = [options](Interrupt*) { return ListModels(*options); };
  });

  CLI::App* load = AddModelCommand(list, "load", "Download a model where needed and load it", options.get());
  load->add_option("--dtype", options->dtype, "auto, float32, bfloat16 or float16 [default: the server's]")
      ->type_name("WORD");
  load->add_option("--device", options->device, "One of the server's devices [default: its first]")
      ->type_name("NAME");
  load->add_flag("--quiet", options->quiet, "Print nothing but errors on standard error");
  load->callback(
      [options, action] { *action = [options](Interrupt* interrupt) { return Load(*options, interrupt); }; });

  CLI::App* unload = AddModelCommand(list, "unload", "Free a model's weights on the server", options.get());
  unload->callback([options, action] { *action = [options](Interrupt*) { return Unload(*options); }; });
}

void AddInspectCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<ModelsOptions>();
  CLI::App* command =
      AddModelCommand(app, "inspect", "Tell what a model is, without loading it", options.get());
  command->callback([options, action] { *action = [options](Interrupt*) { return Inspect(*options); }; });
}

}  // namespace induct::client
