// induct-client crosssize, multisize: several models on relative depth.
#include <set>

#include "absl/strings/str_cat.h"
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "client/text.h"
#include "common/status.h"

namespace induct::client {
namespace {

absl::Status CheckLabels(const AnalysisFlags& flags, size_t n_models) {
  if (flags.labels.empty()) return absl::OkStatus();
  if (flags.labels.size() != n_models) {
    return absl::InvalidArgumentError(absl::StrCat("--labels: ", flags.labels.size(), " given for ", n_models,
                                                   " models; give one for each, in their order"));
  }
  std::set<std::string> seen;
  for (const std::string& label : flags.labels) {
    if (!IsUtf8(label)) return absl::InvalidArgumentError("--labels: no valid UTF-8");
    if (!seen.insert(label).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--labels: \"", label, "\" is given twice; give each model another label"));
    }
  }
  return absl::OkStatus();
}

absl::Status RunCrossSize(const AnalysisFlags& flags, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(flags));
  INDUCT_ASSIGN_OR_RETURN(const auto models, ChooseModels(flags, settings.values, ModelFlag::kSeveral));
  INDUCT_RETURN_IF_ERROR(CheckLabels(flags, models.size()));
  v1::CrossSizeRequest request;
  INDUCT_ASSIGN_OR_RETURN(*request.mutable_profile(), MakeProfile(flags, settings.values, ""));
  request.mutable_models()->Assign(models.begin(), models.end());
  return RunAndPrint(flags, settings, std::move(request), interrupt);
}

void AddCrossSizeCommand(CLI::App* app, const char* name, const char* help, Action* action) {
  const auto flags = std::make_shared<AnalysisFlags>();
  CLI::App* command = app->add_subcommand(name, help);
  AddAnalysisFlags(command, ModelFlag::kSeveral, flags.get());
  command->callback(
      [flags, action] { *action = [flags](Interrupt* interrupt) { return RunCrossSize(*flags, interrupt); }; });
}

}  // namespace

void AddCrossSizeCommands(CLI::App* app, Action* action) {
  AddCrossSizeCommand(app, "crosssize", "Compare models on relative depth: the same texts through each of them",
             action);
  AddCrossSizeCommand(app, "multisize", "The same of many models: peaks by number of parameters", action);
}

}  // namespace induct::client
