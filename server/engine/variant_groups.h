// Cuts a pass of many variants into passes of fewer, so that its activation budget holds.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/engine/engine.h"

namespace induct::engine {

// Calls `run` on parts of `pass` which together are it: consecutive variants whose residual streams for the
// longest prompt, and the unablated one, fit the budget, at least one variant; on `pass` itself where all
// fit. Each part's budget is its streams' share, so that its waves hold the prompts that the whole pass's
// would, and predictions are the same to the bit; its sinks number variants and count progress as the whole
// pass. `bytes_per_token`: of one residual stream. REQUIRES: `pass` is valid.
absl::Status RunInGroups(const AblationPass& pass, int64_t bytes_per_token,
                         absl::FunctionRef<absl::Status(const AblationPass&)> run);

}  // namespace induct::engine
