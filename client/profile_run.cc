#include "client/profile_run.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/artifact_reader.h"
#include "client/exit_code.h"
#include "client/request.h"
#include "client/rpc_error.h"
#include "common/file_names.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/version.h"
#include "nlohmann/json.hpp"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr char kMetadataFile[] = "metadata.json";
constexpr char kConfigFile[] = "config.yaml";

absl::Status JobFailed(const google::rpc::Status& failed) {
  const absl::Status status = FromRpcStatus(failed);
  if (status.ok())
    return WithExitCode(absl::InternalError("the job failed without a reason"), ExitCode::kJobFailed);
  const bool later = absl::IsUnavailable(status) || ReasonOf(status) == reason::kDraining;
  return WithExitCode(status, later ? ExitCode::kBusy : ExitCode::kJobFailed);
}

// Settings as the run used them, as a file that repeats it, with its prompts where they were given.
absl::StatusOr<std::string> ConfigYaml(const v1::RunProfileRequest& resolved, bool given_prompts) {
  const auto settings = SettingsOfRequest(resolved);
  if (!settings.ok()) {
    return WithExitCode(
        Annotate(settings.status(), "the server used a setting that this client does not know; update it"),
        ExitCode::kJobFailed);
  }
  constexpr std::array kOwners = {SettingOwner::kRequest};
  const std::string model = nlohmann::json(resolved.model()).dump();  // a JSON string is a YAML string
  const std::string comment =
      absl::StrCat("# The prompts were given. To repeat the run: induct-client profile --settings ",
                   kConfigFile, " --prompts ", PromptsFile(ModelFileName(resolved.model())), "\n");
  return absl::StrCat(given_prompts ? comment : "", "models: [", model, "]\n", settings->ToYaml(kOwners));
}

}  // namespace

ProfileRun::ProfileRun(Connection* connection, JobStream* stream, RunDirectory* directory, Progress* progress,
                       absl::Time created)
    : connection_(connection), stream_(stream), directory_(directory), progress_(progress) {
  metadata_.set_state("running");
  metadata_.set_command("profile");
  metadata_.set_client_version(kVersion);
  metadata_.set_created(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", created, absl::UTCTimeZone()));
  metadata_.mutable_server()->set_version(connection->server_info().version());
  metadata_.mutable_server()->set_libtorch(connection->server_info().libtorch());
}

absl::StatusOr<v1::JobFinished> ProfileRun::Follow() {
  while (true) {
    INDUCT_ASSIGN_OR_RETURN(const v1::JobEvent event, stream_->Next());
    progress_->Show(event);
    if (const absl::Status status = Handle(event); !status.ok()) {
      if (!IsTerminal(event)) stream_->Cancel();
      return status;
    }
    if (event.has_finished()) return event.finished();
  }
}

absl::Status ProfileRun::Handle(const v1::JobEvent& event) {
  if (event.attempt() > attempt_) missing_.clear();
  attempt_ = std::max(attempt_, event.attempt());
  switch (event.event_case()) {
    case v1::JobEvent::kAccepted:
      return Accept(event.accepted());
    case v1::JobEvent::kStarted:
      metadata_.set_device(event.started().device());
      *metadata_.mutable_models() = event.started().models();
      *metadata_.mutable_warnings() = event.started().warnings();
      return WriteMetadata();
    case v1::JobEvent::kArtifact:
      return Save(event.artifact());
    case v1::JobEvent::kFinished:
      return Finish(event.finished());
    case v1::JobEvent::kFailed:
      return JobFailed(event.failed());
    case v1::JobEvent::kCancelled:
      return WithExitCode(absl::CancelledError("the job was cancelled"), ExitCode::kJobFailed);
    default:
      return absl::OkStatus();
  }
}

absl::Status ProfileRun::Accept(const v1::JobAccepted& accepted) {
  metadata_.set_job(accepted.job());
  metadata_.set_seed(accepted.resolved_request().run().seed());
  metadata_.mutable_server()->set_id(accepted.server_id());
  INDUCT_RETURN_IF_ERROR(WriteMetadata());
  INDUCT_ASSIGN_OR_RETURN(const std::string config, ConfigYaml(accepted.resolved_request(),
                                                               !stream_->request().given_prompts().empty()));
  return directory_->Write(kConfigFile, config);
}

absl::Status ProfileRun::Save(const v1::Artifact& artifact) {
  const auto bytes = ReadArtifact(connection_, stream_->job(), artifact);
  if (absl::IsNotFound(bytes.status())) {  // replayed from an attempt that is over: the next one replaces it
    missing_.insert(artifact.name());
    return absl::OkStatus();
  }
  INDUCT_RETURN_IF_ERROR(bytes.status());
  missing_.erase(artifact.name());
  return directory_->Write(artifact.name(), *bytes);
}

absl::Status ProfileRun::Finish(const v1::JobFinished& finished) {
  *metadata_.mutable_seconds() = finished.seconds();
  *metadata_.mutable_warnings() = finished.warnings();
  if (missing_.empty()) return absl::OkStatus();
  return WithExitCode(
      absl::DataLossError(absl::StrCat("the server no longer holds ", absl::StrJoin(missing_, ", "),
                                       "; run the command again")),
      ExitCode::kJobFailed);
}

void ProfileRun::AddWarning(const std::string& sentence) { metadata_.add_warnings(sentence); }

absl::Status ProfileRun::Close(const absl::Status& outcome) {
  if (directory_->path().empty()) return absl::OkStatus();
  metadata_.set_state(outcome.ok() ? "succeeded" : absl::IsCancelled(outcome) ? "cancelled" : "failed");
  metadata_.set_error(std::string(outcome.message()));
  return WriteMetadata();
}

absl::Status ProfileRun::WriteMetadata() {
  INDUCT_ASSIGN_OR_RETURN(const std::string json, ToJson(metadata_));
  return directory_->Write(kMetadataFile, json);
}

}  // namespace induct::client
