// induct-client profile: where one model's induction heads are.
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "client/commands/prompt_preview.h"
#include "client/commands/server_choice.h"
#include "common/status.h"

namespace induct::client {
namespace {

struct ProfileOptions {
  AnalysisFlags flags;
  bool print_prompts = false;
};

absl::Status RunProfile(const ProfileOptions& options, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(options.flags));
  INDUCT_ASSIGN_OR_RETURN(const auto models, ChooseModels(options.flags, settings.values, ModelFlag::kOne));
  INDUCT_ASSIGN_OR_RETURN(v1::RunProfileRequest request,
                          MakeProfile(options.flags, settings.values, models.front()));
  if (!options.print_prompts) return RunAndPrint(options.flags, settings, std::move(request), interrupt);
  INDUCT_RETURN_IF_ERROR(CheckSize(request));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/true));
  const absl::Status printed = PrintPrompts(
      connection.get(), request, [&](const std::string& warning) { Warn(options.flags, warning); });
  return WithPromptsPlace(printed, options.flags, request);
}

}  // namespace

void AddProfileCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<ProfileOptions>();
  CLI::App* command =
      app->add_subcommand("profile", "Find a model's induction heads: scores, curve over layers, figures");
  AddAnalysisFlags(command, ModelFlag::kOne, &options->flags);
  command->add_flag("--print_prompts", options->print_prompts,
                    "Print the prompts, one a line, and run no job");
  command->callback(
      [options, action] { *action = [options](Interrupt* interrupt) { return RunProfile(*options, interrupt); }; });
}

}  // namespace induct::client
