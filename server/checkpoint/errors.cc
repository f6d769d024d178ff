#include "server/checkpoint/errors.h"

#include "common/status.h"

namespace induct::checkpoint {

absl::Status BadCheckpoint(const std::string& message) {
  return WithReason(absl::FailedPreconditionError(message), reason::kBadCheckpoint);
}

absl::Status UnsupportedModel(const std::string& message) {
  return WithReason(absl::FailedPreconditionError(message), reason::kUnsupportedModel);
}

}  // namespace induct::checkpoint
