// absl::Status as google.rpc.Status and as grpc::Status: the three say the same thing.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace induct::service {

// Code, sentence, ErrorInfo (reason), BadRequest (field) and, for what may be tried again, RetryInfo. Kept
// below 4 KiB in all: beyond that gRPC replaces message and details by an error of its own.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// The same as a call's status, with the google.rpc.Status in its details.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace induct::service
