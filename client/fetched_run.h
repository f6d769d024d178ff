// A run directory made anew from the server alone, of a job that succeeded.
#pragma once

#include "absl/status/status.h"
#include "client/connection.h"
#include "client/run_writer.h"
#include "induct/v1/job.pb.h"

namespace induct::client {

// Writes what following the job would have written. `job` is as GetJob tells it, in STATE_SUCCEEDED. Errors
// carry their exit code; CANCELLED after Connection::Abandon.
absl::Status FetchRun(Connection* connection, const v1::Job& job, RunWriter* writer);

}  // namespace induct::client
