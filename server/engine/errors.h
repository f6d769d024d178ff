// The one place where LibTorch's exceptions become statuses.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace induct::engine {

// Runs `work` and returns its status. Whatever it throws comes back as
//   RESOURCE_EXHAUSTED with reason OUT_OF_MEMORY where memory ran out, on a CPU as well;
//   INTERNAL for anything else, with LibTorch's backtrace in the log only.
absl::Status CatchErrors(absl::FunctionRef<absl::Status()> work);

bool IsOutOfMemory(const absl::Status& status);

}  // namespace induct::engine
