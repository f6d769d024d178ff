// induct-server cache list|prune: what takes room in the hub's cache, and room made by hand. Any process may
// do it while servers run.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "server/hub/hub.h"

namespace induct {

// Prints a table of what the cache holds, and what that takes in all.
void ListCache(const hub::Hub& hub);

// Prunes as Hub::Prune and prints what is removed, or, in a dry run, would be. FAILED_PRECONDITION where
// something could not be removed.
absl::Status PruneCache(const hub::Hub& hub, uint64_t keep_bytes, bool dry_run);

}  // namespace induct
