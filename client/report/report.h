// The report of runs: one HTML page without any network, and the same as Markdown.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/saved_run.h"

namespace induct::client {

// Writes the report of `runs` to `path`, which ends in .html, and as Markdown beside it (the same name, .md).
// `problems` are sentences about runs that could not be read at all; both pages show them. Errors are those
// of writing, with the exit code kOutput.
absl::Status WriteReport(const std::vector<SavedRun>& runs, const std::vector<std::string>& problems,
                         const std::string& path);

}  // namespace induct::client
