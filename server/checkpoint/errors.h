// The two ways in which a checkpoint can be unusable, and how errors quote what stands in it (Quoted).
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/quoted.h"

namespace induct::checkpoint {

// FAILED_PRECONDITION, reason BAD_CHECKPOINT: the file is broken or contradicts itself.
absl::Status BadCheckpoint(const std::string& message);

// FAILED_PRECONDITION, reason UNSUPPORTED_MODEL: the file may be fine, but induct does not implement what it
// asks for.
absl::Status UnsupportedModel(const std::string& message);

}  // namespace induct::checkpoint
