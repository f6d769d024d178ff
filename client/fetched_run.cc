#include "client/fetched_run.h"

#include "absl/strings/str_cat.h"
#include "client/artifact_reader.h"
#include "client/exit_code.h"
#include "common/status.h"

namespace induct::client {
namespace {

// The events that its stream would tell, of what the job is.
v1::JobAccepted AcceptedOf(const v1::Job& job) {
  v1::JobAccepted accepted;
  accepted.set_job(job.name());
  accepted.set_server_id(job.server_id());
  *accepted.mutable_spec() = job.spec();
  *accepted.mutable_models() = job.models();
  return accepted;
}

v1::JobFinished FinishedOf(const v1::Job& job) {
  v1::JobFinished finished;
  *finished.mutable_seconds() = job.seconds();
  *finished.mutable_warnings() = job.warnings();
  return finished;
}

}  // namespace

absl::Status FetchRun(Connection* connection, const v1::Job& job, RunWriter* writer) {
  INDUCT_RETURN_IF_ERROR(writer->Accept(AcceptedOf(job)));
  INDUCT_RETURN_IF_ERROR(writer->Start(job.started()));
  for (const v1::Artifact& artifact : job.artifacts()) {
    const auto bytes = ReadArtifact(connection, job.name(), artifact);
    if (absl::IsNotFound(bytes.status())) {
      return WithExitCode(absl::DataLossError(absl::StrCat("the server no longer holds ", artifact.name(),
                                                           " of ", job.name())),
                          ExitCode::kJobFailed);
    }
    INDUCT_RETURN_IF_ERROR(bytes.status());
    INDUCT_RETURN_IF_ERROR(writer->Save(artifact.name(), *bytes));
  }
  writer->Finish(FinishedOf(job));
  return absl::OkStatus();
}

}  // namespace induct::client
