// induct-client nulls, lagbuckets: analyses whose request is a profile and its settings.
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "common/status.h"

namespace induct::client {
namespace {

template <typename Request>
absl::Status RunNullsOrLags(const AnalysisFlags& flags, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(flags));
  INDUCT_ASSIGN_OR_RETURN(const auto models, ChooseModels(flags, settings.values, ModelFlag::kOne));
  Request request;
  INDUCT_ASSIGN_OR_RETURN(*request.mutable_profile(), MakeProfile(flags, settings.values, models.front()));
  return RunAndPrint(flags, settings, std::move(request), interrupt);
}

template <typename Request>
void AddCommandFor(CLI::App* app, const char* name, const char* help, Action* action) {
  const auto flags = std::make_shared<AnalysisFlags>();
  CLI::App* command = app->add_subcommand(name, help);
  AddAnalysisFlags(command, ModelFlag::kOne, flags.get());
  command->callback([flags, action] {
    *action = [flags](Interrupt* interrupt) { return RunNullsOrLags<Request>(*flags, interrupt); };
  });
}

}  // namespace

void AddNullsCommand(CLI::App* app, Action* action) {
  AddCommandFor<v1::NullsRequest>(
      app, "nulls", "Compare scores with nulls: shuffled antecedents, a fixed distance, permuted heads", action);
}

void AddLagBucketsCommand(CLI::App* app, Action* action) {
  AddCommandFor<v1::LagBucketsRequest>(app, "lagbuckets",
                                    "Profiles by lag, of one pass: does the centroid lie elsewhere at longer lags?", action);
}

}  // namespace induct::client
