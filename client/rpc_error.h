// What a failed call or a failed job says, as a status whose message a user can act on.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace induct::client {

// The same code; one sentence a field violation, with the flag's spelling where the field is a setting; the
// reason attached, and the exit code kHubUnreachable where that is the reason.
absl::Status FromRpcStatus(const google::rpc::Status& status);

// Of a call: its details where the server sent some, else gRPC's own text.
absl::Status FromGrpcStatus(const grpc::Status& status);

// Why nobody answers or a connection broke, in a few words: "Connection refused", "name not known", "timed
// out".
std::string ShortCause(const grpc::Status& status);

// Whether the connection broke rather than the server refused: the code is one that transports give, and no
// details came. UNAVAILABLE counts whoever gave it, except from a server that drains.
bool IsTransportError(const grpc::Status& status);

// "--seq_len: ..." for the field "seq_len" or "run.seq_len"; a field that is no setting keeps its path. A
// path that `description` begins with is not repeated.
std::string DescribeField(const std::string& field, const std::string& description);

}  // namespace induct::client
