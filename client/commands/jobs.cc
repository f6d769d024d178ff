// induct-client jobs: the server's jobs, newest first.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/job_text.h"
#include "client/progress_line.h"
#include "client/rpc_error.h"
#include "client/table.h"
#include "client/text.h"
#include "common/status.h"
#include "common/utf8.h"
#include "nlohmann/json.hpp"
#include "proto/job_specs.h"
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
  std::vector<std::string> states;
  std::vector<std::string> kinds;
  std::string model;
  std::string owner;
};

absl::Time AbslTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

// How long it has been running, or ran.
std::string DurationText(const v1::Job& job) {
  if (!job.has_start_time()) return "";
  return ClockText((job.has_end_time() ? AbslTime(job.end_time()) : absl::Now()) -
                   AbslTime(job.start_time()));
}

std::vector<std::string> JobRow(const v1::Job& job) {
  return {std::string(absl::StripPrefix(job.name(), "jobs/")),
          StateWord(job.state()),
          job.kind(),
          absl::StrJoin(job.models(), ","),
          job.owner(),
          absl::FormatTime("%Y-%m-%d %H:%M:%S", AbslTime(job.create_time()), absl::LocalTimeZone()),
          DurationText(job),
          job.has_queue_position() ? absl::StrCat(job.queue_position(), " ahead") : "",
          job.has_error() ? std::string(FromRpcStatus(job.error()).message()) : ""};
}

// The flags' words, which the server would refuse without naming the flag.
absl::StatusOr<v1::ListJobsRequest> MakeListRequest(const JobsOptions& options) {
  v1::ListJobsRequest request;
  request.set_mine(options.mine);
  for (const std::string& word : options.states) {
    const auto state = ParseState(word);
    if (!state.ok()) return Annotate(state.status(), "--state");
    request.add_states(*state);
  }
  const std::vector<std::string> known = JobKindNames();
  for (const std::string& kind : options.kinds) {
    if (std::find(known.begin(), known.end(), kind) == known.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--kind: \"", kind, "\" is no kind of job: ", absl::StrJoin(known, ", ")));
    }
    request.add_kinds(kind);
  }
  if (!IsUtf8(options.model) || !IsUtf8(options.owner))
    return absl::InvalidArgumentError("--model, --owner: no valid UTF-8");
  request.set_model(options.model);
  request.set_owner(options.owner);
  return request;
}

absl::StatusOr<v1::ListJobsResponse> ListJobs(Connection* connection, v1::ListJobsRequest request,
                                              uint32_t limit) {
  v1::ListJobsResponse all;
  while (true) {
    const uint32_t missing = limit - static_cast<uint32_t>(all.jobs_size());
    request.set_page_size(std::min(missing, kLargestPage));
    Call call(connection, kListTimeout);
    v1::ListJobsResponse page;
    INDUCT_RETURN_IF_ERROR(FromGrpcStatus(connection->jobs().ListJobs(call.context(), request, &page)));
    for (int i = 0; i < page.jobs_size() && static_cast<uint32_t>(all.jobs_size()) < limit; ++i)
      *all.add_jobs() = page.jobs(i);
    all.set_next_page_token(page.next_page_token());
    if (page.next_page_token().empty() || static_cast<uint32_t>(all.jobs_size()) >= limit) return all;
    request.set_page_token(page.next_page_token());
  }
}

// The contract's JSON, with states as words.
absl::StatusOr<std::string> JobsJson(const v1::ListJobsResponse& jobs) {
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ToJson(jobs));
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InternalError("a list of jobs is no JSON object");
  for (int i = 0; i < jobs.jobs_size(); ++i)
    json["jobs"][static_cast<size_t>(i)]["state"] = StateWord(jobs.jobs(i).state());
  return absl::StrCat(json.dump(1, ' ', /*ensure_ascii=*/false), "\n");
}

absl::Status RunJobs(const JobsOptions& options) {
  INDUCT_ASSIGN_OR_RETURN(const v1::ListJobsRequest request, MakeListRequest(options));
  INDUCT_ASSIGN_OR_RETURN(const auto connection, Connect(options.server, /*may_start_one=*/false));
  INDUCT_ASSIGN_OR_RETURN(const v1::ListJobsResponse jobs,
                          ListJobs(connection.get(), request, options.limit));
  std::string text;
  if (options.json) {
    INDUCT_ASSIGN_OR_RETURN(text, JobsJson(jobs));
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
  command
      ->add_option("--state", options->states,
                   absl::StrCat("Only jobs in one of these states, with commas between them: ",
                                absl::StrJoin(StateWords(), ", ")))
      ->type_name("WORD")
      ->delimiter(',');
  command
      ->add_option("--kind", options->kinds,
                   absl::StrCat("Only jobs of one of these kinds, with commas between them: ",
                                absl::StrJoin(JobKindNames(), ", ")))
      ->type_name("WORD")
      ->delimiter(',');
  command->add_option("--model", options->model, "Only jobs that use this model, as its user named it")
      ->type_name("NAME");
  command->add_option("--owner", options->owner, "Only jobs of this user")->type_name("NAME");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, action] { *action = [options](Interrupt*) { return RunJobs(*options); }; });
}

}  // namespace induct::client
