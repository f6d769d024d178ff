// Removes what servers fetched into a cache, least recently used first, and nothing else.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/hub/cache_scan.h"
#include "server/hub/hub.h"
#include "server/hub/hub_options.h"

namespace induct::hub {

// As Hub::List says of each revision what it is, and Hub::Prune what it does.
std::vector<HeldRevision> ListHeld(const std::string& cache_dir);
absl::StatusOr<PruneReport> Prune(const std::string& cache_dir, uint64_t keep_bytes, bool dry_run,
                                  const std::stop_token& stop);

// Makes room for `bytes_to_come` within the options' limit, as far as there is one; what was removed, and
// what could not be, is said in the log. CANCELLED soon after `stop`.
absl::Status KeepWithinLimit(const HubOptions& options, uint64_t bytes_to_come, const std::stop_token& stop);

}  // namespace induct::hub
