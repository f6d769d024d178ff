// induct-client fetch JOB: the run directory of a job that succeeded, made anew from the server alone.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/annotations.h"
#include "client/client_settings.h"
#include "client/commands/command.h"
#include "client/commands/command_line.h"
#include "client/commands/run_output.h"
#include "client/commands/server_choice.h"
#include "client/exit_code.h"
#include "client/fetched_run.h"
#include "client/job_text.h"
#include "client/rpc_error.h"
#include "common/status.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

constexpr absl::Duration kGetJobTimeout = absl::Seconds(30);

struct FetchOptions {
  const CLI::App* command = nullptr;
  FlagTexts texts;
  std::string settings_file;
  OutputFlags output;
  std::string name;
};

absl::Status HasNoResult(const v1::Job& job) {
  const std::string why = job.has_error() ? absl::StrCat(": ", FromRpcStatus(job.error()).message()) : "";
  return WithExitCode(absl::FailedPreconditionError(absl::StrCat(
                          job.name(), " has no result: its state is \"", StateWord(job.state()), "\"", why)),
                      ExitCode::kUsage);
}

// The job, which has a result.
absl::StatusOr<v1::Job> GetSucceededJob(Connection* connection, const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(FullJobName(name));
  Call call(connection, kGetJobTimeout);
  v1::Job job;
  INDUCT_RETURN_IF_ERROR(FromGrpcStatus(connection->jobs().GetJob(call.context(), request, &job)));
  if (job.state() != v1::Job::STATE_SUCCEEDED) return HasNoResult(job);
  return job;
}

// When it was measured, whenever it is fetched.
absl::Time CreateTime(const v1::Job& job) {
  return absl::FromUnixSeconds(job.create_time().seconds()) + absl::Nanoseconds(job.create_time().nanos());
}

absl::StatusOr<FinishedRun> FetchAndFinish(const FetchOptions& options, const Settings& settings,
                                           const v1::Job& job, Connection* connection, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(
      RunDirectory directory,
      RunDirectory::Prepare(settings.Text("output_dir"), CommandOf(job.spec()),
                            DirectoryPart({job.models().begin(), job.models().end()}), absl::Now()));
  RunWriter writer(&directory, connection->server_info(), job.request_sha256(), CreateTime(job));
  const auto abandon = [&] { connection->Abandon(); };
  const Interrupt::Scope scope(interrupt, {.cancel = abandon, .abandon = abandon});
  return FinishRun(options.output, settings.Text("figs_dir"), FetchRun(connection, job, &writer), &writer,
                   [&](const absl::Status& outcome) {
                     return interrupt->requested()
                                ? WithExitCode(absl::CancelledError("interrupted: fetch it again"),
                                               ExitCode::kInterrupted)
                                : outcome;
                   });
}

absl::Status RunFetch(const FetchOptions& options, Interrupt* interrupt) {
  if (!IsUtf8(options.name)) return absl::InvalidArgumentError("the job's name is no valid UTF-8");
  INDUCT_ASSIGN_OR_RETURN(const Settings given, SettingsFromFlags(*options.command, options.texts));
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(given, options.settings_file));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(settings, /*may_start_one=*/false));
  INDUCT_ASSIGN_OR_RETURN(const v1::Job job, GetSucceededJob(connection.get(), options.name));
  INDUCT_ASSIGN_OR_RETURN(const FinishedRun finished,
                          FetchAndFinish(options, settings.values, job, connection.get(), interrupt));
  return PrintResult(options.output, settings.values.Text("figs_dir"), finished);
}

}  // namespace

void AddFetchCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<FetchOptions>();
  CLI::App* command = app->add_subcommand("fetch", "Make a job's run directory anew from the server alone");
  options->command = command;
  command->add_option("name", options->name, "The job's name, as `jobs` lists it")
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--settings", options->settings_file,
                   "Settings file [default ~/.config/induct/client.yaml]")
      ->type_name("FILE");
  AddJsonFlag(command, &options->output);
  AddOutputFlags(command, &options->output);
  AddSettingFlags(command, SettingOwner::kClient, &options->texts);
  command->footer(
      "Any job that succeeded and that the server still holds, whoever made it. The files are those that its "
      "run left;\n"
      "figures and report are drawn anew.");
  command->callback([options, action] {
    *action = [options](Interrupt* interrupt) { return RunFetch(*options, interrupt); };
  });
}

}  // namespace induct::client
