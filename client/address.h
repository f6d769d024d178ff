// Where a server listens, as users write it.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace induct::client {

// What gRPC calls the address: a missing port becomes 50051; "unix:/path" and IPv6 hosts in brackets are
// taken as they are. INVALID_ARGUMENT for what can't be one.
absl::StatusOr<std::string> ParseAddress(const std::string& text);

}  // namespace induct::client
