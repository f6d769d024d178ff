// What servers put into a revision's snapshot, so that they remove that and nothing else. Beside the folders
// of the Python library, whose tools do not look at it:
//
//   models--ORG--NAME/.induct/COMMIT    a line a fact:
//     begun ETAG            a server began to download the blob
//     file ETAG MTIME NAME  it put the file into the snapshot. MTIME (of the link, or the file where there
//                           are no links; in nanoseconds) tells it from one that somebody put there later
//
// The record's time of change is the revision's last use. Who uses the revision holds a shared lock on the
// record, who removes it an exclusive one.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/hub/cache.h"
#include "server/hub/file_lock.h"

namespace induct::hub {

// One revision's record. Holds paths alone: safe for concurrent use, by several processes too. What cannot be
// written is left out, without an error: such a file is never removed.
class FetchRecord {
 public:
  FetchRecord(const RepoCache& cache, const std::string& commit);

  const std::string& path() const { return path_; }

  // While the lock lives nobody removes the revision. Nullptr where there is no record, and so nobody who
  // would. Waits while somebody removes it; CANCELLED soon after `stop`.
  absl::StatusOr<std::unique_ptr<FileLock>> Use(const std::stop_token& stop) const;
  // The same for who fetches: makes the record where there is none.
  absl::StatusOr<std::unique_ptr<FileLock>> Begin(const std::stop_token& stop) const;

  void NoteBegun(const std::string& etag) const;
  void NoteFile(const std::string& etag, const std::string& name) const;

  struct Facts {
    std::set<std::string> blobs;  // ETags of files and of downloads
    std::set<std::string> begun;
    std::set<std::string> files;    // names, of those that are as they were put there
    bool snapshot_is_ours = false;  // nothing else is in it; also where there is none
    absl::Time last_use = absl::InfinitePast();
  };
  // Lines that are none are left out, names that leave their folder too.
  Facts Read() const;

 private:
  void Append(const std::string& line) const;

  std::string path_;
  std::string snapshot_;
};

// The commits that have a record, sorted.
std::vector<std::string> RecordedCommits(const RepoCache& cache);

}  // namespace induct::hub
