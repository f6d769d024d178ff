// The cache on disk, in the layout of the Python library huggingface_hub, so that each finds what the other
// downloaded:
//
//   models--ORG--NAME/refs/REVISION            the commit that a branch or tag meant when it was fetched
//   models--ORG--NAME/snapshots/COMMIT/FILE    a link to ../../blobs/ETAG
//   models--ORG--NAME/blobs/ETAG[.incomplete]  the bytes; ETAG: their SHA-256, of small files git's SHA-1
//   models--ORG--NAME/.no_exist/COMMIT/FILE    empty: the repository has no such file
//   .locks/models--ORG--NAME/ETAG.lock         held (flock) by who downloads or removes the blob
//
// Beside it servers keep fetch_record.h's .induct folder in each repository's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/hub/repo_revision.h"

namespace induct::hub {

// FAILED_PRECONDITION (HUB_CACHE_UNUSABLE) saying that `what` could not be done to `path`, why (an errno),
// and what may help.
absl::Status CacheError(int error, const std::string& what, const std::string& path);

// Bytes that may be written to the disk that `folder` is on, or will be once it is made; nullopt where the
// system does not say.
std::optional<uint64_t> FreeBytes(const std::string& folder);

// One repository's part of the cache. Holds paths alone: safe for concurrent use, by several processes too.
class RepoCache {
 public:
  // REQUIRES: the name has passed CheckNames.
  RepoCache(const std::string& cache_dir, const std::string& repo);

  const std::string& folder() const { return folder_; }
  std::string RefPath(const std::string& revision) const;
  std::string SnapshotPath(const std::string& commit) const;
  std::string FilePath(const std::string& commit, const std::string& file) const;
  std::string BlobPath(const std::string& etag) const;
  // Where a download puts the blob until it is whole.
  std::string IncompletePath(const std::string& etag) const;
  std::string LockPath(const std::string& etag) const;

  // The commit that `revision` stands for here; nullopt where that is not known.
  std::optional<std::string> CommitOf(const std::string& revision) const;
  // Whether the snapshot has the file, with its bytes.
  bool Holds(const std::string& commit, const std::string& file) const;
  // Whether the snapshot has the configuration and one whole set of weights.
  bool HoldsModel(const std::string& commit) const;
  // Whether it has the tokenizer, or the repository is known to have none.
  bool HoldsTokenizer(const std::string& commit) const;
  // Every commit that has a folder, and every revision that refs name.
  std::vector<std::string> Commits() const;
  std::vector<std::string> Revisions() const;
  // The paths of all that is in the snapshot, subfolders included, and the blob that each links to: its ETag,
  // empty for a file that is no link to a blob.
  std::map<std::string, std::string> FilesOf(const std::string& commit) const;
  // Whether any snapshot links to the blob, as far as they can be read; where they cannot, it may.
  bool MayBeLinked(const std::string& etag) const;

  // Each of these makes the folders that it needs, and appears to others whole or not at all.
  absl::Status MakeBlobFolders() const;
  // Puts the blob into the snapshot: as a link, or, without links, by moving (`blob_is_new`) or copying it.
  absl::Status AddToSnapshot(const std::string& etag, const std::string& commit, const std::string& file,
                             bool use_symlinks, bool blob_is_new) const;
  absl::Status WriteRef(const std::string& revision, const std::string& commit) const;
  absl::Status NoteAbsent(const std::string& commit, const std::string& file) const;

 private:
  bool IsKnownAbsent(const std::string& commit, const std::string& file) const;

  std::string folder_;
  std::string lock_folder_;
};

// The repositories that have a folder in the cache, sorted.
std::vector<std::string> CachedRepos(const std::string& cache_dir);

}  // namespace induct::hub
