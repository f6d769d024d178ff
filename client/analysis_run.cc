#include "client/analysis_run.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/artifact_reader.h"
#include "client/exit_code.h"
#include "client/request.h"
#include "client/rpc_error.h"
#include "client/saved_run.h"
#include "common/file_names.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/version.h"
#include "nlohmann/json.hpp"
#include "proto/message_json.h"

namespace induct::client {
namespace {

absl::Status JobFailed(const google::rpc::Status& failed) {
  const absl::Status status = FromRpcStatus(failed);
  if (status.ok())
    return WithExitCode(absl::InternalError("the job failed without a reason"), ExitCode::kJobFailed);
  const bool later = absl::IsUnavailable(status) || ReasonOf(status) == reason::kDraining;
  return WithExitCode(status, later ? ExitCode::kBusy : ExitCode::kJobFailed);
}

// Settings as the run used them, as a file that repeats it, with the flags that say the rest.
absl::StatusOr<std::string> ConfigYaml(const v1::JobAccepted& accepted, const std::string& command,
                                       const std::string& flags) {
  const auto settings = SettingsOfRequest(accepted.resolved_request());
  if (!settings.ok()) {
    return WithExitCode(
        Annotate(settings.status(), "the server used a setting that this client does not know; update it"),
        ExitCode::kJobFailed);
  }
  constexpr std::array kOwners = {SettingOwner::kRequest};
  const nlohmann::json models(std::vector<std::string>(accepted.models().begin(), accepted.models().end()));
  // No real path, so that equal runs leave equal files; and not from within, where figs/ would be
  // overwritten.
  const std::string comment =
      absl::StrCat("# To repeat the run from another folder, RUN being this one: induct-client ", command,
                   " --settings RUN/", kConfigFile, flags.empty() ? "" : " ", flags, "\n");
  return absl::StrCat(comment, "models: ", models.dump(), "\n",  // JSON strings are YAML strings
                      settings->ToYaml(kOwners));
}

}  // namespace

AnalysisRun::AnalysisRun(Connection* connection, JobStream* stream, RunDirectory* directory,
                         Progress* progress, const std::string& command,
                         const std::vector<std::string>& labels, absl::Time created)
    : connection_(connection), stream_(stream), directory_(directory), progress_(progress) {
  metadata_.set_state("running");
  metadata_.set_command(command);
  metadata_.set_client_version(kVersion);
  metadata_.set_created(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", created, absl::UTCTimeZone()));
  metadata_.mutable_server()->set_version(connection->server_info().version());
  metadata_.mutable_server()->set_libtorch(connection->server_info().libtorch());
  metadata_.mutable_labels()->Assign(labels.begin(), labels.end());
  metadata_.set_request_sha256(RequestSha256(stream->request()));
  metadata_.set_format(kRunFormat);
}

absl::StatusOr<v1::JobFinished> AnalysisRun::Follow() {
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

absl::Status AnalysisRun::Handle(const v1::JobEvent& event) {
  if (event.attempt() > attempt_) missing_.clear();
  attempt_ = std::max(attempt_, event.attempt());
  switch (event.event_case()) {
    case v1::JobEvent::kAccepted:
      return Accept(event.accepted());
    case v1::JobEvent::kStarted:
      metadata_.set_device(event.started().device());
      *metadata_.mutable_models() = event.started().models();
      metadata_.set_n_prompts(event.started().n_prompts());
      metadata_.set_n_tokens(event.started().n_tokens());
      *metadata_.mutable_warnings() = event.started().warnings();
      return WriteMetadata();
    case v1::JobEvent::kArtifact:
      return Save(event.artifact());
    case v1::JobEvent::kFinished:
      return Finish(event.finished());
    case v1::JobEvent::kFailed:
      return JobFailed(event.failed());
    case v1::JobEvent::kCancelled:
      // An interrupt of this client's own gets another code from whoever knows of it.
      return WithExitCode(absl::CancelledError("the job was cancelled by somebody else, or by the server "
                                               "because nobody watched it"),
                          ExitCode::kCancelled);
    default:
      return absl::OkStatus();
  }
}

absl::Status AnalysisRun::Accept(const v1::JobAccepted& accepted) {
  metadata_.set_job(accepted.job());
  metadata_.set_seed(accepted.resolved_request().run().seed());
  metadata_.mutable_server()->set_id(accepted.server_id());
  INDUCT_RETURN_IF_ERROR(WriteMetadata());
  const std::string first_model = accepted.models().empty() ? "" : accepted.models(0);
  const std::string flags =
      FlagsToRepeat(stream_->request(), first_model, {metadata_.labels().begin(), metadata_.labels().end()});
  INDUCT_ASSIGN_OR_RETURN(const std::string config, ConfigYaml(accepted, metadata_.command(), flags));
  return directory_->Write(kConfigFile, config);
}

absl::Status AnalysisRun::Save(const v1::Artifact& artifact) {
  const auto bytes = ReadArtifact(connection_, stream_->job(), artifact);
  if (absl::IsNotFound(bytes.status())) {  // replayed from an attempt that is over: the next one replaces it
    missing_.insert(artifact.name());
    return absl::OkStatus();
  }
  INDUCT_RETURN_IF_ERROR(bytes.status());
  missing_.erase(artifact.name());
  return directory_->Write(artifact.name(), *bytes);
}

absl::Status AnalysisRun::Finish(const v1::JobFinished& finished) {
  *metadata_.mutable_seconds() = finished.seconds();
  *metadata_.mutable_warnings() = finished.warnings();
  if (missing_.empty()) return absl::OkStatus();
  return WithExitCode(
      absl::DataLossError(absl::StrCat("the server no longer holds ", absl::StrJoin(missing_, ", "),
                                       "; run the command again")),
      ExitCode::kJobFailed);
}

void AnalysisRun::AddWarning(const std::string& sentence) { metadata_.add_warnings(sentence); }

void AnalysisRun::Conclude(const absl::Status& outcome) {
  metadata_.set_state(outcome.ok() ? "succeeded" : absl::IsCancelled(outcome) ? "cancelled" : "failed");
  // Files of the run are named without its folder, which may be moved and which readers know.
  const std::string& path = directory_->path();
  const std::string message(outcome.message());
  metadata_.set_error(path.empty() ? message : absl::StrReplaceAll(message, {{absl::StrCat(path, "/"), ""}}));
}

absl::Status AnalysisRun::Close() { return directory_->path().empty() ? absl::OkStatus() : WriteMetadata(); }

absl::Status AnalysisRun::WriteMetadata() {
  INDUCT_ASSIGN_OR_RETURN(const std::string json, ToJson(metadata_));
  return directory_->Write(kMetadataFile, json);
}

}  // namespace induct::client
