#include "client/commands/analysis_command.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/analysis_run.h"
#include "client/annotations.h"
#include "client/commands/server_choice.h"
#include "client/exit_code.h"
#include "client/given_prompts.h"
#include "client/job_stream.h"
#include "client/kinds.h"
#include "client/progress.h"
#include "client/request.h"
#include "client/run_directory.h"
#include "client/run_writer.h"
#include "common/status.h"
#include "common/utf8.h"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

constexpr size_t kMaxRequestBytes = size_t{64} << 20;

void AddModelFlags(CLI::App* command, ModelFlag model_flag, AnalysisFlags* flags) {
  if (model_flag == ModelFlag::kPlan) {
    command
        ->add_option("--plan", flags->settings_file,
                     "The plan: a settings file whose `models` are analysed with its settings")
        ->type_name("FILE")
        ->required();
    return;
  }
  if (model_flag == ModelFlag::kOne) {
    command
        ->add_option("--model", flags->models,
                     "The model's name: pythia-410m, gpt2, ORG/NAME, any of them with @REVISION, or one that "
                     "`models` lists [default: the first of `models` in the settings file]")
        ->expected(1)
        ->allow_extra_args(false)  // DescribeUnknown says what a second one is
        ->type_name("NAME");
  } else {
    command
        ->add_option(
            "--models", flags->models,
            "The models' names, two or more: pythia-410m, gpt2, ORG/NAME, any of them with @REVISION, "
            "or those that `models` lists [default: `models` in the settings file]")
        ->expected(1, -1)
        ->type_name("NAME");
    command->add_option("--labels", flags->labels, "What figures and report call the models, one for each")
        ->expected(1, -1)
        ->type_name("TEXT");
  }
  command
      ->add_option("--settings", flags->settings_file, "Settings file [default ~/.config/induct/client.yaml]")
      ->type_name("FILE");
  AddJsonFlag(command, &flags->output);
}

void AddPromptFlags(CLI::App* command, AnalysisFlags* flags) {
  auto* prompts = command
                      ->add_option("--prompts", flags->prompts_file,
                                   "Prompts: .txt, one a line, or .jsonl with text or token_ids")
                      ->option_text("FILE");
  command->add_option("--tokens", flags->tokens_file, "Prompts as token ids: .npy, whole numbers [n, length]")
      ->option_text("FILE")
      ->excludes(prompts);
}

// Given prompts leave these flags nothing to choose.
void WarnOfIdleFlags(const AnalysisFlags& flags) {
  if (flags.prompts_file.empty() && flags.tokens_file.empty()) return;
  std::vector<std::string> idle;
  for (const char* flag : {"n_sequences", "lag_values", "mix", "task_types", "n_repeats"}) {
    if (flags.command->count(absl::StrCat("--", flag)) > 0) idle.push_back(absl::StrCat("--", flag));
  }
  if (!idle.empty())
    Warn(flags.output, absl::StrCat("without effect on given prompts: ", absl::StrJoin(idle, ", ")));
}

// What an interrupt left, given how following the job ended.
absl::Status Interrupted(const absl::Status& outcome, const Connection& connection) {
  std::string job = "job cancelled";
  if (outcome.ok()) {
    job = "the job had ended";
  } else if (!absl::IsCancelled(outcome)) {
    job = std::string(outcome.message());
  } else if (connection.abandoned() && !connection.is_private()) {
    job = "the job may still run";
  }
  return WithExitCode(absl::CancelledError(absl::StrCat("interrupted: ", job)), ExitCode::kInterrupted);
}

// For the terminal alone: metadata.json does not name its own run's folder.
absl::Status WithFolder(const absl::Status& interrupted, const std::string& directory) {
  if (directory.empty()) return interrupted;
  return WithExitCode(
      absl::CancelledError(absl::StrCat(interrupted.message(), "; what there is so far is in ", directory)),
      ExitCode::kInterrupted);
}

}  // namespace

void AddAnalysisFlags(CLI::App* command, ModelFlag model_flag, AnalysisFlags* flags) {
  flags->command = command;
  AddModelFlags(command, model_flag, flags);
  AddPromptFlags(command, flags);
  AddOutputFlags(command, &flags->output);
  AddSettingFlags(command, SettingOwner::kClient, &flags->texts);
  AddSettingFlags(command, SettingOwner::kRequest, &flags->texts);
}

absl::StatusOr<ClientSettings> GatherSettings(const AnalysisFlags& flags) {
  INDUCT_ASSIGN_OR_RETURN(const Settings given, SettingsFromFlags(*flags.command, flags.texts));
  WarnOfIdleFlags(flags);
  return GatherSettings(given, flags.settings_file);
}

absl::StatusOr<std::vector<std::string>> ChooseModels(const AnalysisFlags& flags, const Settings& settings,
                                                      ModelFlag model_flag) {
  std::vector<std::string> models = flags.models.empty() ? settings.Texts("models") : flags.models;
  const bool one = model_flag == ModelFlag::kOne;
  const char* flag = one ? "--model" : "--models";
  if (models.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no model: give ",
                     model_flag == ModelFlag::kPlan ? "`models` in the plan" : absl::StrCat(flag, " NAME"),
                     "; `induct-client models` lists them"));
  }
  if (one) models.resize(1);
  for (const std::string& model : models) {
    if (!IsUtf8(model)) return absl::InvalidArgumentError(absl::StrCat(flag, ": no valid UTF-8"));
  }
  return models;
}

absl::Status FillSpec(const AnalysisFlags& flags, const Settings& settings, v1::JobSpec* spec) {
  FillSpec(settings, spec);
  spec->mutable_options()->set_request_id(NewRequestId());
  v1::ProfileSpec* profile = MutableProfileOf(spec);
  if (!flags.prompts_file.empty()) return ReadPromptFile(flags.prompts_file, GivenPrompts(), profile);
  if (!flags.tokens_file.empty()) return ReadTokenFile(flags.tokens_file, profile);
  return absl::OkStatus();
}

absl::Status CheckSize(const v1::JobSpec& spec) {
  const size_t bytes = spec.ByteSizeLong();
  if (bytes <= kMaxRequestBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("what is given takes ", bytes, " bytes, a request may have ",
                                                 kMaxRequestBytes, ": send it in parts"));
}

absl::Status WithPlaceInFile(const absl::Status& error, const AnalysisFlags& flags, const v1::JobSpec& spec) {
  const bool are_rows = !flags.tokens_file.empty();
  absl::Status named = NameFileAndLine(error, {.holder = ProfileOf(spec),
                                               .kind = GivenPrompts(),
                                               .path = are_rows ? flags.tokens_file : flags.prompts_file,
                                               .are_rows = are_rows});
  for (const RecordFile& file : flags.record_files)
    named = NameFileAndLine(named, {.holder = AnalysisOf(spec), .kind = *file.kind, .path = file.path});
  return named;
}

absl::StatusOr<FinishedRun> RunAnalysis(const AnalysisFlags& flags, const std::string& command,
                                        const Settings& settings, v1::JobSpec spec, Connection* connection,
                                        Interrupt* interrupt) {
  INDUCT_RETURN_IF_ERROR(CheckSize(spec));
  const absl::Time created = absl::Now();
  SetAnnotations(command, flags.labels, &spec);
  INDUCT_ASSIGN_OR_RETURN(
      RunDirectory directory,
      RunDirectory::Prepare(settings.Text("output_dir"), command, DirectoryPart(ModelsOf(spec)), created));
  RunWriter writer(&directory, connection->server_info(), SpecSha256(spec), created);
  Progress progress(ChooseProgressStyle(flags.output.quiet), stderr, KindOfSpec(spec)->tells_layer_scores);
  JobStream stream(connection, std::move(spec),
                   [&](const std::string& sentence) { progress.Note(sentence); });
  AnalysisRun run(connection, &stream, &writer, &progress);
  const Interrupt::Scope scope(
      interrupt, {.cancel = [&] { stream.Cancel(); }, .abandon = [&] { connection->Abandon(); }});

  const absl::Status followed = WithPlaceInFile(run.Follow().status(), flags, stream.spec());
  progress.EndLine();
  const auto finished =
      FinishRun(flags.output, settings.Text("figs_dir"), followed, &writer, [&](const absl::Status& outcome) {
        return interrupt->requested() ? Interrupted(outcome, *connection) : outcome;
      });
  if (ExitCodeOf(finished.status()) == ExitCode::kInterrupted)
    return WithFolder(finished.status(), writer.path());
  return finished;
}

absl::Status RunAndPrint(const AnalysisFlags& flags, const ClientSettings& settings, v1::JobSpec spec,
                         Interrupt* interrupt) {
  INDUCT_RETURN_IF_ERROR(CheckSize(spec));
  // Before a server is asked, or started: its work would be lost.
  INDUCT_RETURN_IF_ERROR(
      RunDirectory::Prepare(settings.values.Text("output_dir"), "", "", absl::Now()).status());
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/true));
  INDUCT_ASSIGN_OR_RETURN(
      const FinishedRun finished,
      RunAnalysis(flags, flags.name(), settings.values, std::move(spec), connection.get(), interrupt));
  return PrintResult(flags.output, settings.values.Text("figs_dir"), finished);
}

}  // namespace induct::client
