// One file of a snapshot: from the hub to the place where readers look for it.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "server/hub/cache.h"
#include "server/hub/hub_client.h"
#include "server/hub/progress.h"
#include "server/hub/retry.h"

namespace induct::hub {

// Downloads files of one commit. Used by one thread at a time.
class FileFetcher {
 public:
  // All must outlive the fetcher.
  FileFetcher(HubClient& client, const RepoCache& cache, const HubOptions& options, ProgressReport& progress,
              std::stop_token stop);

  // Returns with the file in the snapshot of `commit`, its size and hash checked, or with an error and no
  // such file. What has come by then stays as ETAG.incomplete, where the next call goes on. While another
  // process (or thread) downloads the same blob it is waited for.
  absl::Status Fetch(const std::string& commit, const RemoteFile& file);

  // Bytes of the file that need not be downloaded any more.
  uint64_t BytesThere(const RemoteFile& file) const;

 private:
  absl::Status DownloadBlob(const std::string& commit, const RemoteFile& file);
  // Both leave the bytes in `fd`. DATA_LOSS where they are not what the hub announced.
  absl::Status Receive(int fd, const std::string& path, const std::string& commit, const RemoteFile& file);
  absl::Status ReceiveOnce(int fd, const std::string& path, const std::string& commit, const RemoteFile& file,
                           uint64_t offset);
  Retry NewRetry();

  HubClient& client_;
  const RepoCache& cache_;
  const HubOptions& options_;
  ProgressReport& progress_;
  const std::stop_token stop_;
};

}  // namespace induct::hub
