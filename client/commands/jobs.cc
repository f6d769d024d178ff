// induct-client jobs: the server's jobs, newest first.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/progress_line.h"
#include "client/rpc_error.h"
#include "client/table.h"
#include "common/status.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr absl::Duration kListTimeout = absl::Seconds(30);
constexpr uint32_t kLargestPage = 1000;

struct JobsOptions {
  ServerChoice server;
  bool json = false;
  bool mine = false;
  uint32_t limit = 20;
};

absl::Time AbslTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

// How long it has been running, or ran.
std::string DurationText(const v1::Job& job) {
  if (!job.has_started()) return "";
  return ClockText((job.has_finished() ? AbslTime(job.finished()) : absl::Now()) - AbslTime(job.started()));
}

std::vector<std::string> JobRow(const v1::Job& job) {
  return {std::string(absl::StripPrefix(job.name(), "jobs/")),
          job.state(),
          job.kind(),
          absl::StrJoin(job.models(), ","),
          job.owner(),
          absl::FormatTime("%Y-%m-%d %H:%M:%S", AbslTime(job.created()), absl::LocalTimeZone()),
          DurationText(job),
          job.has_queue_position() ? absl::StrCat(job.queue_position(), " ahead") : "",
          job.has_error() ? std::string(FromRpcStatus(job.error()).message()) : ""};
}

absl::StatusOr<v1::ListJobsResponse> ListJobs(Connection* connection, const JobsOptions& options) {
  v1::ListJobsResponse all;
  v1::ListJobsRequest request;
  request.set_mine(options.mine);
  while (true) {
    const uint32_t missing = options.limit - static_cast<uint32_t>(all.jobs_size());
    request.set_page_size(std::min(missing, kLargestPage));
    Call call(connection, kListTimeout);
    v1::ListJobsResponse page;
    INDUCT_RETURN_IF_ERROR(FromGrpcStatus(connection->jobs().ListJobs(call.context(), request, &page)));
    for (int i = 0; i < page.jobs_size() && static_cast<uint32_t>(all.jobs_size()) < options.limit; ++i)
      *all.add_jobs() = page.jobs(i);
    all.set_next_page_token(page.next_page_token());
    if (page.next_page_token().empty() || static_cast<uint32_t>(all.jobs_size()) >= options.limit) return all;
    request.set_page_token(page.next_page_token());
  }
}

absl::Status RunJobs(const JobsOptions& options) {
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/false));
  INDUCT_ASSIGN_OR_RETURN(const v1::ListJobsResponse jobs, ListJobs(connection.get(), options));
  std::string text;
  if (options.json) {
    INDUCT_ASSIGN_OR_RETURN(text, ToJson(jobs));
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const v1::Job& job : jobs.jobs()) rows.push_back(JobRow(job));
    text =
        FormatTable({"NAME", "STATE", "KIND", "MODELS", "OWNER", "CREATED", "RAN", "QUEUE", "ERROR"}, rows);
  }
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddJobsCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<JobsOptions>();
  CLI::App* command = app->add_subcommand("jobs", "List the server's jobs, newest first");
  AddServerFlags(command, &options->server);
  command->add_flag("--mine", options->mine, "Only your own");
  command->add_option("--limit", options->limit, "How many at most [default 20]")
      ->type_name("N")
      ->check(CLI::Range(1u, 1'000'000u));
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, action] { *action = [options](Interrupt*) { return RunJobs(*options); }; });
}

}  // namespace induct::client
