// What a run found, in a few lines for the terminal, and its result as JSON.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/saved_run.h"

namespace induct::client {

// Ends in a newline. `saved` says where the run's files are. Names of numbers are those of the JSON.
std::string SummaryText(const SavedRun& run, const std::string& saved);

// The result of the run's command: what `--json` prints. DATA_LOSS where it is not among the saved files.
absl::StatusOr<std::string> ResultJson(const SavedRun& run);

}  // namespace induct::client
