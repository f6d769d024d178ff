#include "client/analysis_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/artifact_reader.h"
#include "client/exit_code.h"
#include "client/rpc_error.h"
#include "common/status.h"
#include "proto/job_events.h"

namespace induct::client {
namespace {

absl::Status JobFailed(const google::rpc::Status& failed) {
  const absl::Status status = FromRpcStatus(failed);
  if (status.ok())
    return WithExitCode(absl::InternalError("the job failed without a reason"), ExitCode::kJobFailed);
  const bool later = absl::IsUnavailable(status) || ReasonOf(status) == reason::kDraining;
  return WithExitCode(status, later ? ExitCode::kBusy : ExitCode::kJobFailed);
}

}  // namespace

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
      return writer_->Accept(event.accepted());
    case v1::JobEvent::kStarted:
      return writer_->Start(event.started());
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

absl::Status AnalysisRun::Save(const v1::Artifact& artifact) {
  const auto bytes = ReadArtifact(connection_, stream_->job(), artifact);
  if (absl::IsNotFound(bytes.status())) {  // replayed from an attempt that is over: the next one replaces it
    missing_.insert(artifact.name());
    return absl::OkStatus();
  }
  INDUCT_RETURN_IF_ERROR(bytes.status());
  missing_.erase(artifact.name());
  return writer_->Save(artifact.name(), *bytes);
}

absl::Status AnalysisRun::Finish(const v1::JobFinished& finished) {
  writer_->Finish(finished);
  if (missing_.empty()) return absl::OkStatus();
  return WithExitCode(
      absl::DataLossError(absl::StrCat("the server no longer holds ", absl::StrJoin(missing_, ", "),
                                       "; run the command again")),
      ExitCode::kJobFailed);
}

}  // namespace induct::client
