#include "client/artifact_reader.h"

#include "absl/strings/str_cat.h"
#include "client/backoff.h"
#include "client/exit_code.h"
#include "client/rpc_error.h"
#include "common/file_names.h"
#include "common/sha256.h"
#include "common/status.h"

namespace induct::client {
namespace {

constexpr double kMaxBytes = 8.0 * (1 << 30);

absl::Status WrongBytes(const v1::Artifact& artifact, const std::string& what) {
  return absl::DataLossError(
      absl::StrCat("artifact ", artifact.name(), ": ", what, "; run the command again"));
}

// Appends what one call gives, from bytes->size() on.
grpc::Status ReadOn(Connection* connection, const std::string& job, const v1::Artifact& artifact,
                    std::string* bytes) {
  v1::ReadArtifactRequest request;
  request.set_job(job);
  request.set_name(artifact.name());
  request.set_sha256(artifact.sha256());
  request.set_offset(bytes->size());
  Call call(connection, absl::InfiniteDuration());
  const auto reader = connection->jobs().ReadArtifact(call.context(), request);
  v1::ReadArtifactResponse chunk;
  while (reader->Read(&chunk)) {
    *bytes += chunk.data();
    if (static_cast<double>(bytes->size()) > artifact.size()) call.context()->TryCancel();
  }
  return reader->Finish();
}

}  // namespace

absl::StatusOr<std::string> ReadArtifact(Connection* connection, const std::string& job,
                                         const v1::Artifact& artifact) {
  if (!IsSafeFileName(artifact.name())) {
    return WithExitCode(
        absl::InvalidArgumentError("the server sent an artifact whose name may not become a file: " +
                                   artifact.name()),
        ExitCode::kJobFailed);
  }
  if (!(artifact.size() >= 0 && artifact.size() <= kMaxBytes)) {
    return WrongBytes(artifact, "it is too large");
  }
  const auto size = static_cast<size_t>(artifact.size());
  std::string bytes;
  Backoff backoff(connection->retry());
  while (true) {
    const size_t before = bytes.size();
    const grpc::Status status = ReadOn(connection, job, artifact, &bytes);
    if (bytes.size() > size) return WrongBytes(artifact, "more bytes came than announced");
    if (bytes.size() == size) break;
    if (connection->abandoned()) return absl::CancelledError("given up");
    if (status.ok()) return WrongBytes(artifact, "fewer bytes came than announced");
    if (!IsTransportError(status)) return WithExitCode(FromGrpcStatus(status), ExitCode::kJobFailed);
    if (bytes.size() > before) backoff.Reset();
    if (connection->is_private() || backoff.Exhausted()) return connection->Lost(status, job);
    if (!connection->Sleep(backoff.NextDelay())) return absl::CancelledError("given up");
  }
  if (Sha256Hex(bytes) != artifact.sha256())
    return WrongBytes(artifact, "its SHA-256 is not the announced one");
  return bytes;
}

}  // namespace induct::client
