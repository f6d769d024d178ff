// induct-client pattern: one head's attention on one prompt.
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "common/status.h"

namespace induct::client {
namespace {

struct PatternOptions {
  AnalysisFlags flags;
  std::string head;
  uint32_t prompt = 0;
};

absl::Status RunPattern(const PatternOptions& options, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(options.flags));
  INDUCT_ASSIGN_OR_RETURN(const auto models, ChooseModels(options.flags, settings.values, ModelFlag::kOne));
  v1::PatternRequest request;
  INDUCT_ASSIGN_OR_RETURN(*request.mutable_head(), ParseHead("--head", options.head));
  INDUCT_ASSIGN_OR_RETURN(*request.mutable_profile(),
                          MakeProfile(options.flags, settings.values, models.front()));
  request.set_prompt(options.prompt);
  return RunAndPrint(options.flags, settings, std::move(request), interrupt);
}

}  // namespace

void AddPatternCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<PatternOptions>();
  CLI::App* command = app->add_subcommand("pattern", "One head's attention pattern on one prompt");
  AddAnalysisFlags(command, ModelFlag::kOne, &options->flags);
  command->add_option("--head", options->head, "The head, both from 0")->type_name("LAYER.HEAD")->required();
  command
      ->add_option("--prompt", options->prompt,
                   "Which of the prompts, counted from 0: prompt N is line N+1 of what `profile "
                   "--print_prompts` prints for the same model and settings [default 0]")
      ->type_name("N");
  command->callback(
      [options, action] { *action = [options](Interrupt* interrupt) { return RunPattern(*options, interrupt); }; });
}

}  // namespace induct::client
