// All figures of a run.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/run_directory.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// Draws a profile's figures from the run directory's files into its figs/ and copies them into `figs_dir`
// under the names of the newest run. `title_model` is the model as the user named it. Errors with exit code
// kOutput where files can't be written; all others mean that pictures are missing, and nothing else.
absl::Status DrawProfileFigures(const v1::Profile& profile, const std::string& title_model,
                                const std::string& figs_dir, RunDirectory* directory);

}  // namespace induct::client
