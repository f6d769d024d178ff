#include "server/hub/cache.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/shard_limits.h"
#include "common/status.h"
#include "server/hub/hub_json.h"
#include "server/hub/needed_files.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRefBytes = 4096;
constexpr size_t kMaxTreeBytes = size_t{32} << 20;

std::string ParentOf(const std::string& path) { return fs::path(path).parent_path().string(); }

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? CacheError(error.value(), "make the folder", path) : absl::OkStatus();
}

// A name in the same folder that no other thread or process uses.
std::string TemporaryBeside(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(path, ".", getpid(), ".", counter.fetch_add(1), ".tmp");
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  unlink(from.c_str());
  return CacheError(error, "write", to);
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  const std::string temporary = TemporaryBeside(to);
  std::error_code error;
  fs::copy_file(from, temporary, error);
  if (error) {
    unlink(temporary.c_str());
    return CacheError(error.value(), "write", to);
  }
  return Rename(temporary, to);
}

absl::Status WriteNote(const std::string& path, const std::string& text) {
  const absl::Status status = WriteFileAtomically(path, text);
  if (status.ok()) return status;
  return WithReason(absl::FailedPreconditionError(absl::StrCat("hub cache: ", status.message())),
                    reason::kHubCacheUnusable);
}

// The ETag of the blob that a file of a snapshot links to; empty for a file that is no such link.
std::string LinkedBlob(const fs::path& file) {
  std::error_code no_link;
  const fs::path target = fs::read_symlink(file, no_link);
  return target.parent_path().filename() == "blobs" ? target.filename().string() : "";
}

// Whether the file system, not this one link, is what is wrong.
bool LinksAreUnsupported(int error) { return error == EPERM || error == EOPNOTSUPP || error == ENOSYS; }

}  // namespace

absl::Status CacheError(int error, const std::string& what, const std::string& path) {
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "hub cache: cannot ", what, " ", path, ": ", std::strerror(error),
                        is_full ? "; free space there, or let HF_HUB_CACHE name a folder on a larger disk"
                                : "; make the folder writable, or let HF_HUB_CACHE name another one")),
                    reason::kHubCacheUnusable);
}

std::optional<uint64_t> FreeBytes(const std::string& folder) {
  for (fs::path path = folder;; path = path.parent_path()) {
    struct statvfs info = {};
    if (statvfs(path.c_str(), &info) == 0) return uint64_t{info.f_bavail} * info.f_frsize;
    if (errno != ENOENT || !path.has_relative_path()) return std::nullopt;
  }
}

RepoCache::RepoCache(const std::string& cache_dir, const std::string& repo)
    : folder_(absl::StrCat(cache_dir, "/", FolderOfRepo(repo))),
      lock_folder_(absl::StrCat(cache_dir, "/.locks/", FolderOfRepo(repo))) {}

std::string RepoCache::RefPath(const std::string& revision) const {
  return absl::StrCat(folder_, "/refs/", revision);
}

std::string RepoCache::SnapshotPath(const std::string& commit) const {
  return absl::StrCat(folder_, "/snapshots/", commit);
}

std::string RepoCache::FilePath(const std::string& commit, const std::string& file) const {
  return absl::StrCat(SnapshotPath(commit), "/", file);
}

std::string RepoCache::BlobPath(const std::string& etag) const {
  return absl::StrCat(folder_, "/blobs/", etag);
}

std::string RepoCache::IncompletePath(const std::string& etag) const {
  return BlobPath(etag) + ".incomplete";
}

std::string RepoCache::LockPath(const std::string& etag) const {
  return absl::StrCat(lock_folder_, "/", etag, ".lock");
}

std::optional<std::string> RepoCache::CommitOf(const std::string& revision) const {
  if (IsCommit(revision)) return revision;
  const absl::StatusOr<std::string> ref = ReadFile(RefPath(revision), kMaxRefBytes);
  if (!ref.ok()) return std::nullopt;
  const std::string commit(absl::StripAsciiWhitespace(*ref));
  if (!IsCommit(commit)) return std::nullopt;
  return commit;
}

bool RepoCache::Holds(const std::string& commit, const std::string& file) const {
  std::error_code error;
  return fs::is_regular_file(FilePath(commit, file), error);
}

bool RepoCache::HoldsModel(const std::string& commit) const {
  if (!Holds(commit, kConfigFile)) return false;
  const auto weights = ChooseWeights([&](const std::string& name) { return Holds(commit, name); });
  if (!weights) return false;
  if (!weights->is_index) return true;
  const absl::StatusOr<std::string> index = ReadFile(FilePath(commit, weights->file), kMaxShardIndexBytes);
  if (!index.ok()) return false;
  const auto shards = ParseShardNames(*index, weights->shard_suffix, weights->file);
  return shards.ok() && std::ranges::all_of(*shards, [&](const auto& name) { return Holds(commit, name); });
}

bool RepoCache::HoldsTokenizer(const std::string& commit) const {
  return Holds(commit, kTokenizerFile) || IsKnownAbsent(commit, kTokenizerFile);
}

// Python notes absent files where it asked for them one by one, and the whole listing where it took all.
bool RepoCache::IsKnownAbsent(const std::string& commit, const std::string& file) const {
  std::error_code error;
  if (fs::exists(absl::StrCat(folder_, "/.no_exist/", commit, "/", file), error)) return true;
  const absl::StatusOr<std::string> tree =
      ReadFile(absl::StrCat(folder_, "/trees/", commit, ".json"), kMaxTreeBytes);
  if (!tree.ok()) return false;
  const nlohmann::json listing = ParseFields(*tree, {"files"});
  return listing.contains("files") && listing["files"].is_object() && !listing["files"].contains(file);
}

std::vector<std::string> RepoCache::Commits() const {
  std::vector<std::string> commits;
  std::error_code error;
  for (fs::directory_iterator it(folder_ + "/snapshots", error), end; !error && it != end;
       it.increment(error)) {
    if (const std::string name = it->path().filename().string(); IsCommit(name)) commits.push_back(name);
  }
  std::ranges::sort(commits);
  return commits;
}

std::vector<std::string> RepoCache::Revisions() const {
  std::vector<std::string> revisions;
  const fs::path refs = fs::path(folder_) / "refs";
  std::error_code error;
  for (fs::recursive_directory_iterator it(refs, error), end; !error && it != end; it.increment(error)) {
    std::error_code no_file;
    if (it->is_regular_file(no_file)) revisions.push_back(it->path().lexically_relative(refs).string());
  }
  std::ranges::sort(revisions);
  return revisions;
}

std::map<std::string, std::string> RepoCache::FilesOf(const std::string& commit) const {
  std::map<std::string, std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(SnapshotPath(commit), error), end; !error && it != end;
       it.increment(error)) {
    std::error_code no_file;
    if (fs::is_directory(it->symlink_status(no_file))) continue;
    files[it->path().string()] = LinkedBlob(it->path());
  }
  return files;
}

bool RepoCache::MayBeLinked(const std::string& etag) const {
  const std::string snapshots = folder_ + "/snapshots";
  std::error_code error;
  if (!fs::exists(snapshots, error) && !error) return false;
  for (fs::recursive_directory_iterator it(snapshots, error), end; !error && it != end; it.increment(error)) {
    if (LinkedBlob(it->path()) == etag) return true;
  }
  return static_cast<bool>(error);
}

absl::Status RepoCache::MakeBlobFolders() const {
  INDUCT_RETURN_IF_ERROR(MakeFolder(folder_ + "/blobs"));
  return MakeFolder(lock_folder_);
}

absl::Status RepoCache::AddToSnapshot(const std::string& etag, const std::string& commit,
                                      const std::string& file, bool use_symlinks, bool blob_is_new) const {
  const std::string path = FilePath(commit, file);
  INDUCT_RETURN_IF_ERROR(MakeFolder(ParentOf(path)));
  if (use_symlinks) {
    const std::string temporary = TemporaryBeside(path);
    if (symlink(absl::StrCat("../../blobs/", etag).c_str(), temporary.c_str()) == 0) {
      return Rename(temporary, path);
    }
    if (!LinksAreUnsupported(errno)) return CacheError(errno, "write", path);
  }
  return blob_is_new ? Rename(BlobPath(etag), path) : CopyFile(BlobPath(etag), path);
}

absl::Status RepoCache::WriteRef(const std::string& revision, const std::string& commit) const {
  if (revision == commit || CommitOf(revision) == commit) return absl::OkStatus();
  const std::string path = RefPath(revision);
  INDUCT_RETURN_IF_ERROR(MakeFolder(ParentOf(path)));
  return WriteNote(path, commit);
}

absl::Status RepoCache::NoteAbsent(const std::string& commit, const std::string& file) const {
  const std::string path = absl::StrCat(folder_, "/.no_exist/", commit, "/", file);
  INDUCT_RETURN_IF_ERROR(MakeFolder(ParentOf(path)));
  return WriteNote(path, "");
}

std::vector<std::string> CachedRepos(const std::string& cache_dir) {
  std::vector<std::string> repos;
  std::error_code error;
  for (fs::directory_iterator it(cache_dir, error), end; !error && it != end; it.increment(error)) {
    const std::string repo = RepoOfFolder(it->path().filename().string());
    if (!repo.empty()) repos.push_back(repo);
  }
  std::ranges::sort(repos);
  return repos;
}

}  // namespace induct::hub
