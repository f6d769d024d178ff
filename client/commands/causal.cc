// induct-client causal: what becomes of copying without the top heads.
#include "absl/strings/str_split.h"
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "client/given_prompts.h"
#include "client/request.h"
#include "common/status.h"

namespace induct::client {
namespace {

struct CausalOptions {
  AnalysisFlags flags;
  std::string heads;
};

absl::Status RunCausal(const CausalOptions& options, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(options.flags));
  INDUCT_ASSIGN_OR_RETURN(const auto models, ChooseModels(options.flags, settings.values, ModelFlag::kOne));
  v1::CausalRequest request;
  INDUCT_ASSIGN_OR_RETURN(*request.mutable_profile(),
                          MakeProfile(options.flags, settings.values, models.front()));
  if (options.flags.command->count("--heads") > 0) {
    for (const absl::string_view text : absl::StrSplit(options.heads, ',')) {
      INDUCT_ASSIGN_OR_RETURN(*request.add_heads(), ParseHead("--heads", std::string(text)));
    }
  }
  MatchRandomSets(settings.values, &request);
  if (!options.flags.control_prompts_file.empty()) {
    INDUCT_ASSIGN_OR_RETURN(std::vector<v1::Prompt> prompts,
                            ReadPromptFile(options.flags.control_prompts_file));
    for (v1::Prompt& prompt : prompts) *request.add_control_prompts() = std::move(prompt);
  }
  return RunAndPrint(options.flags, settings, std::move(request), interrupt);
}

}  // namespace

void AddCausalCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<CausalOptions>();
  CLI::App* command =
      app->add_subcommand("causal", "Ablate the top heads against controls: what becomes of copying?");
  AddAnalysisFlags(command, ModelFlag::kOne, &options->flags);
  command
      ->add_option("--heads", options->heads,
                   "Ablate these heads, LAYER.HEAD from 0, instead of the best of the selection half; random "
                   "sets get as many heads unless --causal_random_k says otherwise, as with --causal_top_k")
      ->type_name("L.H,L.H,...")
      ->excludes(command->get_option("--causal_top_k"));
  command
      ->add_option("--control_prompts", options->flags.control_prompts_file,
                   "Texts to measure specificity on: .txt, one a line, or .jsonl")
      ->type_name("FILE");
  command->callback(
      [options, action] { *action = [options](Interrupt* interrupt) { return RunCausal(*options, interrupt); }; });
}

}  // namespace induct::client
