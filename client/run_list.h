// The saved runs below a folder.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/saved_run.h"

namespace induct::client {

struct RunList {
  std::vector<SavedRun> runs;  // earliest first; of one second, by path
  // A sentence for each folder that is no run, or is one that cannot be read.
  std::vector<std::string> problems;
};

// Reads the run directories of `folder`: an output folder, which holds them in runs/, a folder that holds
// them itself, or one of them. NOT_FOUND where there is no such folder, with the exit code kUsage;
// INVALID_ARGUMENT where it cannot be listed.
absl::StatusOr<RunList> ReadRuns(const std::string& folder);

}  // namespace induct::client
