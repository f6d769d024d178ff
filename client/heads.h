// Heads as flags write them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// "3.1": layer and head, both from 0.
std::string HeadText(const v1::HeadRef& head);

// "3.1" as a head. INVALID_ARGUMENT naming the flag.
absl::StatusOr<v1::HeadRef> ParseHead(const std::string& flag, const std::string& text);

}  // namespace induct::client
