// Reads an artifact's bytes from a server.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "induct/v1/job.pb.h"

namespace induct::client {

// The artifact's bytes: of the size and SHA-256 that its descriptor tells. A connection that breaks is
// resumed at the byte reached. DATA_LOSS where other bytes came; INVALID_ARGUMENT (exit code kJobFailed) for
// a name that may not become a file; kUnreachable where the server is lost.
absl::StatusOr<std::string> ReadArtifact(Connection* connection, const std::string& job,
                                         const v1::Artifact& artifact);

}  // namespace induct::client
