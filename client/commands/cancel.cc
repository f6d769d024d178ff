// induct-client cancel NAME: ask a job to end.
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/job_text.h"
#include "client/rpc_error.h"
#include "client/text.h"
#include "common/status.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

constexpr absl::Duration kCommandTimeout = absl::Seconds(30);

struct CancelOptions {
  ServerChoice server;
  std::string name;
};

std::string Outcome(const v1::Job& job) {
  if (job.state() == v1::Job::STATE_CANCELLED) return "cancelled";
  if (job.state() == v1::Job::STATE_SUCCEEDED || job.state() == v1::Job::STATE_FAILED)
    return absl::StrCat("had ended before: ", StateWord(job.state()));
  return absl::StrCat("will be cancelled (now ", StateWord(job.state()), ")");
}

absl::Status RunCancel(const CancelOptions& options) {
  if (!IsUtf8(options.name)) return absl::InvalidArgumentError("the job's name is no valid UTF-8");
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/false));
  v1::CancelJobRequest request;
  request.set_name(FullJobName(options.name));
  Call call(connection.get(), kCommandTimeout);
  v1::Job job;
  INDUCT_RETURN_IF_ERROR(FromGrpcStatus(connection->jobs().CancelJob(call.context(), request, &job)));
  std::printf("%s: %s\n", Printable(job.name()).c_str(), Outcome(job).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddCancelCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<CancelOptions>();
  CLI::App* command = app->add_subcommand("cancel", "Cancel a job");
  AddServerFlags(command, &options->server);
  command->add_option("name", options->name, "The job's name, as `jobs` lists it")
      ->required()
      ->type_name("NAME");
  command->footer(
      "Exits with 0 where the job runs no longer or will end soon, also where it had ended before, which is "
      "said.");
  command->callback([options, action] { *action = [options](Interrupt*) { return RunCancel(*options); }; });
}

}  // namespace induct::client
