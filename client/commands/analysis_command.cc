#include "client/commands/analysis_command.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/analysis_run.h"
#include "client/commands/server_choice.h"
#include "client/exit_code.h"
#include "client/figures/run_figures.h"
#include "client/given_prompts.h"
#include "client/job_stream.h"
#include "client/progress.h"
#include "client/report/report.h"
#include "client/request.h"
#include "client/run_directory.h"
#include "client/summary.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/status.h"

namespace induct::client {
namespace {

constexpr size_t kMaxRequestBytes = size_t{64} << 20;
constexpr char kNoFigures[] = "no figures: ";

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
  command->add_flag("--json", flags->json, "Print the result as JSON and nothing else on standard output");
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
    Warn(flags, absl::StrCat("without effect on given prompts: ", absl::StrJoin(idle, ", ")));
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

// Pictures and report from the saved files. Missing ones are no reason to fail, as all numbers are saved: a
// sentence for each. An error is one of writing.
absl::StatusOr<std::vector<std::string>> Illustrate(const AnalysisFlags& flags, const Settings& settings,
                                                    const SavedRun& run) {
  std::vector<std::string> warnings;
  const absl::Status drawn =
      flags.no_figures ? absl::OkStatus() : DrawRunFigures(run, {}, settings.Text("figs_dir"));
  if (!drawn.ok() && ExitCodeOf(drawn) == ExitCode::kOutput) return drawn;
  if (!drawn.ok()) {
    warnings.push_back(absl::IsNotFound(drawn)
                           ? absl::StrCat(kNoFigures, "install gnuplot (Debian: gnuplot-nox)")
                           : absl::StrCat(kNoFigures, drawn.message()));
  }
  if (flags.no_report) return warnings;
  const absl::Status reported = WriteReport({run}, {}, absl::StrCat(run.path, "/report.html"));
  if (!reported.ok() && ExitCodeOf(reported) == ExitCode::kOutput) return reported;
  if (!reported.ok()) warnings.push_back(absl::StrCat("no report: ", reported.message()));
  return warnings;
}

// Figures and report of a run that succeeded, whose metadata gets what has to be said of them.
absl::Status IllustrateRun(const AnalysisFlags& flags, const Settings& settings, const std::string& path,
                           AnalysisRun* run) {
  INDUCT_ASSIGN_OR_RETURN(const std::vector<std::string> warnings,
                          Illustrate(flags, settings, ReadRunFiles(path, run->metadata())));
  for (const std::string& warning : warnings) {
    Warn(flags, warning);
    run->AddWarning(warning);
  }
  return absl::OkStatus();
}

bool HasFigures(const AnalysisFlags& flags, const SavedRun& run) {
  if (flags.no_figures) return false;
  const auto& warnings = run.metadata.warnings();
  return std::none_of(warnings.begin(), warnings.end(),
                      [](const std::string& warning) { return warning.starts_with(kNoFigures); });
}

// With --json standard output holds nothing else; where the files are is told beside it.
absl::Status PrintResult(const AnalysisFlags& flags, const Settings& settings, const SavedRun& run) {
  const std::string saved =
      HasFigures(flags, run) ? absl::StrCat(run.path, ", figures in ", settings.Text("figs_dir")) : run.path;
  if (!flags.json) {
    std::fputs(SummaryText(run, saved).c_str(), stdout);
    return absl::OkStatus();
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string json, ResultJson(run));
  std::fputs(json.c_str(), stdout);
  for (const std::string& warning : run.metadata.warnings()) Warn(flags, absl::StrCat("warning: ", warning));
  Warn(flags, absl::StrCat("saved in ", saved));
  return absl::OkStatus();
}

std::string DirectoryName(const std::vector<std::string>& models) {
  const std::string first = ModelFileName(models.front());
  return models.size() == 1 ? first : absl::StrCat(first, "+", models.size() - 1);
}

}  // namespace

void Warn(const AnalysisFlags& flags, const std::string& sentence) {
  if (!flags.quiet) TellUser(sentence);
}

void AddAnalysisFlags(CLI::App* command, ModelFlag model_flag, AnalysisFlags* flags) {
  flags->command = command;
  AddModelFlags(command, model_flag, flags);
  AddPromptFlags(command, flags);
  command->add_flag("--quiet", flags->quiet, "Print nothing but errors on standard error");
  command->add_flag("--no_figures", flags->no_figures, "Draw no figures; `figures RUN_DIR` can later");
  command->add_flag("--no_report", flags->no_report, "Write no report.html and report.md");
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

absl::StatusOr<v1::RunProfileRequest> MakeProfile(const AnalysisFlags& flags, const Settings& settings,
                                                  const std::string& model) {
  v1::RunProfileRequest request;
  request.set_model(model);
  FillRequest(settings, &request);
  request.mutable_job()->set_request_id(NewRequestId());
  std::vector<v1::Prompt> prompts;
  if (!flags.prompts_file.empty()) {
    INDUCT_ASSIGN_OR_RETURN(prompts, ReadPromptFile(flags.prompts_file));
  } else if (!flags.tokens_file.empty()) {
    INDUCT_ASSIGN_OR_RETURN(prompts, ReadTokenFile(flags.tokens_file));
  }
  for (v1::Prompt& prompt : prompts) *request.add_given_prompts() = std::move(prompt);
  return request;
}

absl::Status CheckSize(const AnalysisRequest& request) {
  const size_t bytes = std::visit([](const auto& of_kind) { return of_kind.ByteSizeLong(); }, request);
  if (bytes <= kMaxRequestBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the prompts take ", bytes, " bytes, a request may have ",
                                                 kMaxRequestBytes, ": send them in parts"));
}

absl::Status WithPromptsPlace(const absl::Status& error, const AnalysisFlags& flags,
                              const AnalysisRequest& request) {
  const bool are_rows = !flags.tokens_file.empty();
  const std::string& path = are_rows ? flags.tokens_file : flags.prompts_file;
  const absl::Status named = NameFileAndLine(error, {.field = "given_prompts",
                                                     .path = path,
                                                     .are_rows = are_rows,
                                                     .prompts = ProfileOf(request).given_prompts()});
  const auto* causal = std::get_if<v1::CausalRequest>(&request);
  if (causal == nullptr) return named;
  return NameFileAndLine(named, {.field = "control_prompts",
                                 .path = flags.control_prompts_file,
                                 .are_rows = false,
                                 .prompts = causal->control_prompts()});
}

absl::StatusOr<SavedRun> RunAnalysis(const AnalysisFlags& flags, const std::string& command,
                                     const Settings& settings, AnalysisRequest request,
                                     Connection* connection, Interrupt* interrupt) {
  INDUCT_RETURN_IF_ERROR(CheckSize(request));
  const absl::Time created = absl::Now();
  const std::vector<std::string> models = ModelsOf(request);
  INDUCT_ASSIGN_OR_RETURN(RunDirectory directory, RunDirectory::Prepare(settings.Text("output_dir"), command,
                                                                        DirectoryName(models), created));
  const bool scores_layers = !std::holds_alternative<v1::PatternRequest>(request);
  Progress progress(ChooseProgressStyle(flags.quiet), stderr, scores_layers);
  JobStream stream(connection, std::move(request),
                   [&](const std::string& sentence) { progress.Note(sentence); });
  AnalysisRun run(connection, &stream, &directory, &progress, command,
                  flags.labels.empty() ? models : flags.labels, created);
  const Interrupt::Scope scope(
      interrupt, {.cancel = [&] { stream.Cancel(); }, .abandon = [&] { connection->Abandon(); }});

  absl::Status outcome = WithPromptsPlace(run.Follow().status(), flags, stream.request());
  progress.EndLine();
  run.Conclude(outcome);
  if (outcome.ok()) outcome = IllustrateRun(flags, settings, directory.path(), &run);
  const bool interrupted = interrupt->requested();
  if (interrupted) outcome = Interrupted(outcome, *connection);
  run.Conclude(outcome);
  const absl::Status closed = run.Close();
  if (interrupted) return WithFolder(outcome, directory.path());
  INDUCT_RETURN_IF_ERROR(outcome);  // the first error counts
  INDUCT_RETURN_IF_ERROR(closed);
  return ReadRun(directory.path());
}

absl::Status RunAndPrint(const AnalysisFlags& flags, const ClientSettings& settings, AnalysisRequest request,
                         Interrupt* interrupt) {
  INDUCT_RETURN_IF_ERROR(CheckSize(request));
  // Before a server is asked, or started: its work would be lost.
  INDUCT_RETURN_IF_ERROR(
      RunDirectory::Prepare(settings.values.Text("output_dir"), "", "", absl::Now()).status());
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/true));
  INDUCT_ASSIGN_OR_RETURN(const SavedRun run, RunAnalysis(flags, flags.name(), settings.values,
                                                          std::move(request), connection.get(), interrupt));
  return PrintResult(flags, settings.values, run);
}

absl::StatusOr<v1::HeadRef> ParseHead(const std::string& flag, const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  uint32_t layer = 0, head = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &layer) || !absl::SimpleAtoi(parts[1], &head)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": \"", text, "\" is no head; write LAYER.HEAD, both from 0, for example 3.1"));
  }
  v1::HeadRef ref;
  ref.set_layer(layer);
  ref.set_head(head);
  return ref;
}

}  // namespace induct::client
