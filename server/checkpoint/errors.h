// The two ways in which a checkpoint can be unusable, and how errors quote what stands in it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace induct::checkpoint {

// FAILED_PRECONDITION, reason BAD_CHECKPOINT: the file is broken or contradicts itself.
absl::Status BadCheckpoint(const std::string& message);

// FAILED_PRECONDITION, reason UNSUPPORTED_MODEL: the file may be fine, but induct does not implement what it
// asks for.
absl::Status UnsupportedModel(const std::string& message);

// `text` in single quotes, control characters escaped and cut at about 100 bytes: names come from the file,
// and a status that is too long for a gRPC trailer would reach the client as another error.
std::string Quoted(std::string_view text);

}  // namespace induct::checkpoint
