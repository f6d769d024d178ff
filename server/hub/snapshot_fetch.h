// A whole model: asks the hub what there is, chooses what is needed, and fetches what is missing.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/hub/cache.h"
#include "server/hub/file_fetch.h"
#include "server/hub/file_lock.h"
#include "server/hub/hub.h"
#include "server/hub/hub_client.h"
#include "server/hub/needed_files.h"
#include "server/hub/progress.h"

namespace induct::hub {

// The download of one revision; used once, by one thread.
class SnapshotFetch {
 public:
  // All must outlive it.
  SnapshotFetch(const RepoRevision& wanted, const HubOptions& options, const RepoCache& cache,
                const ProgressSink& on_progress, std::stop_token stop);

  // The snapshot, whole now and in use.
  absl::StatusOr<Snapshot> Run();
  // The same without weights, whose sizes are asked for; the revision is not noted as one that is here.
  absl::StatusOr<Outline> RunWithoutWeights();

 private:
  // Names of the needed files, weights last: a snapshot that has its weights has everything. Where there is a
  // model, it is in use from then on, so that nobody removes what comes.
  absl::StatusOr<std::vector<std::string>> NeededFiles(const RepoListing& listing);
  absl::StatusOr<std::vector<std::string>> ShardsOf(const RepoListing& listing, const WeightChoice& weights);
  absl::StatusOr<std::vector<RemoteFile>> StatMissing(const std::string& commit,
                                                      const std::vector<std::string>& names);
  // Within the limit of the cache, then on its disk.
  absl::Status MakeRoom(const std::vector<RemoteFile>& missing) const;
  absl::StatusOr<RemoteFile> Stat(const std::string& commit, const std::string& name);
  Retry NewRetry();

  const RepoRevision& wanted_;
  const HubOptions& options_;
  const RepoCache& cache_;
  const std::stop_token stop_;
  ProgressReport progress_;
  HubClient client_;
  FileFetcher fetcher_;
  std::shared_ptr<const FileLock> use_;
};

}  // namespace induct::hub
