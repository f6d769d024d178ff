// induct-client profile: submit a profile, follow it, save arrays, JSON and figures.
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/command_line.h"
#include "client/commands/command.h"
#include "client/commands/prompt_preview.h"
#include "client/commands/server_choice.h"
#include "client/exit_code.h"
#include "client/figures/run_figures.h"
#include "client/given_prompts.h"
#include "client/job_stream.h"
#include "client/profile_run.h"
#include "client/progress.h"
#include "client/request.h"
#include "client/run_directory.h"
#include "client/summary.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/status.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr size_t kMaxRequestBytes = size_t{64} << 20;

struct Options {
  const CLI::App* command = nullptr;
  FlagTexts flags;
  std::string model;
  std::string settings_file;
  std::string prompts_file;
  std::string tokens_file;
  bool print_prompts = false;
  bool json = false;
  bool quiet = false;
};

void Warn(const Options& options, const std::string& sentence) {
  if (!options.quiet) std::fprintf(stderr, "induct-client: %s\n", Printable(sentence).c_str());
}

absl::StatusOr<std::string> ChooseModel(const Options& options, const Settings& settings) {
  const std::vector<std::string> models = settings.Texts("models");
  if (options.model.empty() && models.empty()) {
    return absl::InvalidArgumentError("no model: give --model NAME; `induct-client models` lists them");
  }
  const std::string model = options.model.empty() ? models.front() : options.model;
  if (!IsUtf8(model)) return absl::InvalidArgumentError("--model: no valid UTF-8");
  return model;
}

absl::StatusOr<v1::RunProfileRequest> BuildRequest(const Options& options, const Settings& settings) {
  v1::RunProfileRequest request;
  INDUCT_ASSIGN_OR_RETURN(*request.mutable_model(), ChooseModel(options, settings));
  FillRequest(settings, &request);
  request.mutable_job()->set_request_id(NewRequestId());
  std::vector<v1::Prompt> prompts;
  if (!options.prompts_file.empty()) {
    INDUCT_ASSIGN_OR_RETURN(prompts, ReadPromptFile(options.prompts_file));
  } else if (!options.tokens_file.empty()) {
    INDUCT_ASSIGN_OR_RETURN(prompts, ReadTokenFile(options.tokens_file));
  }
  for (v1::Prompt& prompt : prompts) *request.add_given_prompts() = std::move(prompt);
  if (request.ByteSizeLong() > kMaxRequestBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the prompts take ", request.ByteSizeLong(),
                                                   " bytes, a request may have ", kMaxRequestBytes,
                                                   ": profile them in parts"));
  }
  return request;
}

// What an interrupt left, given how following the job ended.
absl::Status Interrupted(const absl::Status& outcome, const Connection& connection,
                         const std::string& directory) {
  std::string job = "job cancelled";
  if (outcome.ok()) {
    job = "the job had ended";
  } else if (!absl::IsCancelled(outcome)) {
    job = std::string(outcome.message());
  } else if (connection.abandoned() && !connection.is_private()) {
    job = "the job may still run";
  }
  return WithExitCode(absl::CancelledError(absl::StrCat(
                          "interrupted: ", job, directory.empty() ? "" : ", partial results in ", directory)),
                      ExitCode::kInterrupted);
}

// Missing pictures are no reason to fail: all numbers are saved. Empty where they were made, else a warning.
absl::StatusOr<std::string> DrawFigures(const v1::JobFinished& finished, const std::string& model,
                                        const std::string& figs_dir, RunDirectory* directory) {
  const absl::Status drawn = DrawProfileFigures(finished.profile(), model, figs_dir, directory);
  if (drawn.ok()) return "";
  if (ExitCodeOf(drawn) == ExitCode::kOutput) return drawn;
  return absl::IsNotFound(drawn) ? "no figures: install gnuplot (Debian: gnuplot-nox)"
                                 : absl::StrCat("no figures: ", drawn.message());
}

// With --json standard output holds nothing else; where the files are is told beside it.
absl::Status PrintResult(const Options& options, const std::string& model, const v1::JobFinished& finished,
                         const std::string& saved) {
  if (!options.json) {
    std::fputs(SummaryText(model, finished, saved).c_str(), stdout);
    return absl::OkStatus();
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string json, ToJson(finished.profile()));
  std::fputs(json.c_str(), stdout);
  for (const std::string& warning : finished.warnings()) Warn(options, absl::StrCat("warning: ", warning));
  Warn(options, absl::StrCat("saved in ", saved));
  return absl::OkStatus();
}

absl::Status RunJob(const Options& options, const ClientSettings& settings,
                    const v1::RunProfileRequest& request, Interrupt* interrupt) {
  const absl::Time created = absl::Now();
  const std::string figs_dir = settings.values.Text("figs_dir");
  INDUCT_ASSIGN_OR_RETURN(RunDirectory directory,
                          RunDirectory::Prepare(settings.values.Text("output_dir"), "profile",
                                                ModelFileName(request.model()), created));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/true));
  Progress progress(ChooseProgressStyle(options.quiet), stderr);
  JobStream stream(connection.get(), request, [&](const std::string& sentence) { progress.Note(sentence); });
  ProfileRun run(connection.get(), &stream, &directory, &progress, created);
  const Interrupt::Scope scope(
      interrupt, {.cancel = [&] { stream.Cancel(); }, .abandon = [&] { connection->Abandon(); }});

  const absl::StatusOr<v1::JobFinished> finished = run.Follow();
  progress.EndLine();
  const absl::StatusOr<std::string> no_figures =
      finished.ok() ? DrawFigures(*finished, request.model(), figs_dir, &directory) : finished.status();
  absl::Status outcome = no_figures.status();
  if (outcome.ok() && !no_figures->empty()) {
    Warn(options, *no_figures);
    run.AddWarning(*no_figures);
  }
  if (interrupt->requested()) outcome = Interrupted(outcome, *connection, directory.path());
  const absl::Status closed = run.Close(outcome);
  INDUCT_RETURN_IF_ERROR(outcome);  // the first error counts
  INDUCT_RETURN_IF_ERROR(closed);
  const std::string figures = no_figures->empty() ? absl::StrCat(", figures in ", figs_dir) : "";
  return PrintResult(options, request.model(), *finished, directory.path() + figures);
}

// Given prompts leave these flags nothing to choose.
void WarnOfIdleFlags(const Options& options, const Settings& flags) {
  if (options.prompts_file.empty() && options.tokens_file.empty()) return;
  std::vector<std::string> idle;
  for (const char* flag : {"n_sequences", "lag_values", "mix", "task_types", "n_repeats"}) {
    if (flags.IsSet(FindSettingFlag(flag)->path)) idle.push_back(absl::StrCat("--", flag));
  }
  if (!idle.empty())
    Warn(options, absl::StrCat("without effect on given prompts: ", absl::StrJoin(idle, ", ")));
}

absl::Status Run(const Options& options, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const Settings flags, SettingsFromFlags(*options.command, options.flags));
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(flags, options.settings_file));
  for (const std::string& warning : settings.warnings) Warn(options, warning);
  WarnOfIdleFlags(options, flags);
  INDUCT_ASSIGN_OR_RETURN(const v1::RunProfileRequest request, BuildRequest(options, settings.values));
  if (!options.print_prompts) return RunJob(options, settings, request, interrupt);
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/true));
  return PrintPrompts(connection.get(), request, [&](const std::string& warning) { Warn(options, warning); });
}

}  // namespace

void AddProfileCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app->add_subcommand("profile", "Find a model's induction heads: scores, curve over layers, figures");
  options->command = command;
  command
      ->add_option("--model", options->model,
                   "The model's name [default: the first of `models` in the settings file]")
      ->type_name("NAME");
  command
      ->add_option("--settings", options->settings_file,
                   "Settings file [default ~/.config/induct/client.yaml]")
      ->type_name("FILE");
  auto* prompts = command
                      ->add_option("--prompts", options->prompts_file,
                                   "Prompts: .txt, one a line, or .jsonl with text or token_ids")
                      ->option_text("FILE");
  command
      ->add_option("--tokens", options->tokens_file, "Prompts as token ids: .npy, whole numbers [n, length]")
      ->option_text("FILE")
      ->excludes(prompts);
  command->add_flag("--print_prompts", options->print_prompts,
                    "Print the prompts, one a line, and run no job");
  command->add_flag("--json", options->json, "Print the result as JSON and nothing else on standard output");
  command->add_flag("--quiet", options->quiet, "Print nothing but errors on standard error");
  AddSettingFlags(command, SettingOwner::kClient, &options->flags);
  AddSettingFlags(command, SettingOwner::kRequest, &options->flags);
  command->callback(
      [options, action] { *action = [options](Interrupt* interrupt) { return Run(*options, interrupt); }; });
}

}  // namespace induct::client
