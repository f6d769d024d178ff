// The commands that run one analysis each: a command for every name in the table of kinds.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "client/commands/prompt_preview.h"
#include "client/commands/server_choice.h"
#include "client/kinds.h"
#include "common/status.h"
#include "common/utf8.h"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

struct KindOptions {
  explicit KindOptions(const AnalysisKind* k) : kind(k) {}

  const AnalysisKind* const kind;
  AnalysisFlags flags;
  std::map<std::string, std::vector<std::string>> values;  // of the kind's own flags, by name
  bool print_prompts = false;
};

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

// The spec that the flags and settings ask for; `flags` learns which files its records came from.
absl::StatusOr<v1::JobSpec> MakeSpec(const KindOptions& options, const Settings& settings,
                                     AnalysisFlags* flags) {
  const AnalysisKind& kind = *options.kind;
  INDUCT_ASSIGN_OR_RETURN(
      const auto models,
      ChooseModels(*flags, settings, kind.compares_models ? ModelFlag::kSeveral : ModelFlag::kOne));
  INDUCT_RETURN_IF_ERROR(CheckLabels(*flags, models.size()));
  v1::JobSpec spec = NewSpec(kind, models);
  INDUCT_RETURN_IF_ERROR(FillSpec(*flags, settings, &spec));
  for (const KindFlag& flag : kind.flags) {
    if (flags->command->count(flag.name) == 0) continue;
    const std::vector<std::string>& values = options.values.at(flag.name);
    INDUCT_RETURN_IF_ERROR(flag.apply(values, &spec));
    if (flag.records != nullptr) flags->record_files.push_back({flag.records, values.front()});
  }
  if (kind.complete != nullptr) INDUCT_RETURN_IF_ERROR(kind.complete(settings, &spec));
  return spec;
}

absl::Status PreviewPrompts(const AnalysisFlags& flags, const ClientSettings& settings,
                            const v1::JobSpec& spec) {
  INDUCT_RETURN_IF_ERROR(CheckSize(spec));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/true));
  const absl::Status printed = PrintPrompts(connection.get(), ProfileOf(spec),
                                            [&](const std::string& warning) { Warn(flags.output, warning); });
  return WithPlaceInFile(printed, flags, spec);
}

absl::Status RunKind(const KindOptions& options, Interrupt* interrupt) {
  AnalysisFlags flags = options.flags;
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(flags));
  INDUCT_ASSIGN_OR_RETURN(v1::JobSpec spec, MakeSpec(options, settings.values, &flags));
  if (options.print_prompts) return PreviewPrompts(flags, settings, spec);
  return RunAndPrint(flags, settings, std::move(spec), interrupt);
}

void AddKindFlags(CLI::App* command, KindOptions* options) {
  for (const KindFlag& flag : options->kind->flags) {
    CLI::Option* option = command->add_option(flag.name, options->values[flag.name], flag.help)
                              ->type_name(flag.type_name)
                              ->expected(1)
                              ->allow_extra_args(false)
                              ->required(flag.required);
    if (flag.repeated) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (!flag.excludes.empty()) option->excludes(command->get_option(flag.excludes));
  }
  if (options->kind->previews_prompts) {
    command->add_flag("--print_prompts", options->print_prompts,
                      "Print the prompts, one a line, and run no job");
  }
}

void AddKindCommand(CLI::App* app, const AnalysisKind& kind, const KindCommand& named, Action* action) {
  const auto options = std::make_shared<KindOptions>(&kind);
  CLI::App* command = app->add_subcommand(named.name, named.help);
  AddAnalysisFlags(command, kind.compares_models ? ModelFlag::kSeveral : ModelFlag::kOne, &options->flags);
  AddKindFlags(command, options.get());
  command->callback([options, action] {
    *action = [options](Interrupt* interrupt) { return RunKind(*options, interrupt); };
  });
}

}  // namespace

void AddKindCommands(CLI::App* app, Action* action) {
  for (const AnalysisKind& kind : AnalysisKinds()) {
    for (const KindCommand& command : kind.commands) AddKindCommand(app, kind, command, action);
  }
}

}  // namespace induct::client
