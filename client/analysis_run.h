// One analysis, from its first event to its files.
#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/job_stream.h"
#include "client/progress.h"
#include "client/run_writer.h"
#include "induct/v1/job.pb.h"

namespace induct::client {

// Follows a job and writes what comes. Everything it is given must outlive it. One thread at a time may use
// it.
class AnalysisRun {
 public:
  AnalysisRun(Connection* connection, JobStream* stream, RunWriter* writer, Progress* progress)
      : connection_(connection), stream_(stream), writer_(writer), progress_(progress) {}

  // Until the job's end. Errors carry their exit code; CANCELLED where the job was cancelled. Where files
  // can't be written the job is cancelled: nobody would see its result.
  absl::StatusOr<v1::JobFinished> Follow();

 private:
  absl::Status Handle(const v1::JobEvent& event);
  absl::Status Save(const v1::Artifact& artifact);
  absl::Status Finish(const v1::JobFinished& finished);

  Connection* const connection_;
  JobStream* const stream_;
  RunWriter* const writer_;
  Progress* const progress_;
  uint32_t attempt_ = 0;
  std::set<std::string>
      missing_;  // artifacts that the server holds no more, unless a later attempt makes them again
};

}  // namespace induct::client
