// One analysis, from its first event to its files: everything that a run directory holds but figures and
// report.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/job_stream.h"
#include "client/progress.h"
#include "client/run_directory.h"
#include "induct/v1/job.pb.h"
#include "induct/v1/run_files.pb.h"

namespace induct::client {

// Follows a job and writes what comes into the run directory at once, so that a run that ends early keeps
// what it has. Everything it is given must outlive it. One thread at a time may use it.
class AnalysisRun {
 public:
  // `command` is the client's, `labels` what figures and the report call the models, one each.
  AnalysisRun(Connection* connection, JobStream* stream, RunDirectory* directory, Progress* progress,
              const std::string& command, const std::vector<std::string>& labels, absl::Time created);

  // Until the job's end. Errors carry their exit code; CANCELLED where the job was cancelled. Where files
  // can't be written the job is cancelled: nobody would see its result.
  absl::StatusOr<v1::JobFinished> Follow();

  // How the run ended, "succeeded", "failed" or "cancelled" by `outcome`; of what came after the job's end
  // too.
  void Conclude(const absl::Status& outcome);
  void AddWarning(const std::string& sentence);

  // What metadata.json will hold.
  const v1::RunMetadata& metadata() const { return metadata_; }

  // Writes metadata.json for good. Without effect where the job was never accepted.
  absl::Status Close();

 private:
  absl::Status Handle(const v1::JobEvent& event);
  absl::Status Accept(const v1::JobAccepted& accepted);
  absl::Status Save(const v1::Artifact& artifact);
  absl::Status Finish(const v1::JobFinished& finished);
  absl::Status WriteMetadata();

  Connection* const connection_;
  JobStream* const stream_;
  RunDirectory* const directory_;
  Progress* const progress_;
  v1::RunMetadata metadata_;
  uint32_t attempt_ = 0;
  std::set<std::string>
      missing_;  // artifacts that the server holds no more, unless a later attempt makes them again
};

}  // namespace induct::client
