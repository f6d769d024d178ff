// Everything that a run directory holds but figures and report: artifacts, config.yaml and metadata.json.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/run_directory.h"
#include "induct/v1/job.pb.h"
#include "induct/v1/run_files.pb.h"
#include "induct/v1/server_service.pb.h"

namespace induct::client {

// Writes what a server tells of a job, at once, so that a run that ends early keeps what it has. It needs
// nothing else, so that a job leaves the same files while it is followed and when it is asked for later. One
// thread at a time may use it.
class RunWriter {
 public:
  // `request_sha256` is SpecSha256 of the spec as it was sent. `directory` must outlive the writer.
  RunWriter(RunDirectory* directory, const v1::ServerInfo& server, const std::string& request_sha256,
            absl::Time created);

  // Errors of all that write carry their exit code. Of Accept as well where this client does not know the
  // spec's kind, or one of its settings.
  absl::Status Accept(const v1::JobAccepted& accepted);
  absl::Status Start(const v1::JobStarted& started);
  absl::Status Save(const std::string& artifact, std::string_view bytes);
  void Finish(const v1::JobFinished& finished);

  // How the run ended, "succeeded", "failed" or "cancelled" by `outcome`; of what came after the job's end
  // too.
  void Conclude(const absl::Status& outcome);
  void AddWarning(const std::string& sentence) { metadata_.add_warnings(sentence); }

  // What metadata.json will hold.
  const v1::RunMetadata& metadata() const { return metadata_; }
  // Of the run directory; empty before Accept.
  const std::string& path() const { return directory_->path(); }

  // Writes metadata.json for good. Without effect where no job was accepted.
  absl::Status Close();

 private:
  absl::Status WriteMetadata();

  RunDirectory* const directory_;
  v1::RunMetadata metadata_;
};

}  // namespace induct::client
