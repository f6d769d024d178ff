// The exit codes of induct-client, in one place. An error carries its own: whoever knows the phase attaches
// it.
#pragma once

#include "absl/status/status.h"

namespace induct::client {

enum class ExitCode {
  kDone = 0,
  kJobFailed = 1,
  kUsage = 2,          // wrong flags, settings or prompts, also where only the server can tell
  kUnreachable = 3,    // no server, or it was lost
  kOutput = 4,         // files or standard output could not be written
  kBusy = 5,           // the server takes no more jobs now: retry later
  kCancelled = 6,      // the job was cancelled by somebody else
  kHubUnusable = 7,    // the hub that the model would come from cannot be reached or used now: retry later
  kInterrupted = 130,  // SIGINT or SIGTERM; the job was cancelled
};

// `status` with the exit code attached; OK stays OK. A code attached earlier, nearer to the cause, stays.
absl::Status WithExitCode(absl::Status status, ExitCode code);

// What was attached; else kUsage for INVALID_ARGUMENT and NOT_FOUND, kDone for OK and kJobFailed for all
// others.
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace induct::client
