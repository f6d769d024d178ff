#include "server/hub/prune.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/hub/cache.h"
#include "server/hub/fetch_record.h"
#include "server/hub/file_lock.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;

constexpr char kLogSubject[] = "hub cache";

std::string InMegabytes(uint64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

// One removes at a time: two at once would each make all the room that is wanted.
absl::StatusOr<std::unique_ptr<FileLock>> LockPruning(const std::string& cache_dir,
                                                      const std::stop_token& stop) {
  const std::string folder = cache_dir + "/.locks";
  std::error_code error;
  fs::create_directories(folder, error);
  return FileLock::Acquire(folder + "/induct-prune.lock", [] {}, stop);
}

// Removes one revision, whose record the caller has locked. The order is such that wherever it ends, nobody
// finds half a revision by its branch, and the record tells the next one what is left to remove.
class RevisionRemover {
 public:
  RevisionRemover(const ScannedRevision& revision, const std::string& cache_dir,
                  std::vector<std::string>& problems)
      : commit_(revision.commit),
        cache_(cache_dir, revision.repo),
        record_(cache_, commit_),
        problems_(problems) {}

  // False where something stays.
  bool Run() {
    const FetchRecord::Facts facts = record_.Read();  // somebody may have put something there by now
    if (!facts.snapshot_is_ours) return false;
    bool all = cache_.MakeBlobFolders().ok();  // which hold the locks
    for (const std::string& name : cache_.Revisions()) {
      if (cache_.CommitOf(name) == commit_) all &= Remove(cache_.RefPath(name));
    }
    for (const std::string& file : facts.files) all &= Remove(cache_.FilePath(commit_, file));
    all &= Removed(rmdir(cache_.SnapshotPath(commit_).c_str()), cache_.SnapshotPath(commit_));
    for (const std::string& etag : facts.blobs) all &= RemoveBlob(etag, facts.begun.contains(etag));
    return all && Remove(record_.path());
  }

 private:
  bool Removed(int result, const std::string& path) {
    if (result == 0 || errno == ENOENT) return true;
    problems_.push_back(absl::StrCat("cannot remove ", path, ": ", std::strerror(errno)));
    return false;
  }
  bool Remove(const std::string& path) { return Removed(unlink(path.c_str()), path); }

  // Under the lock under which others link it.
  bool RemoveBlob(const std::string& etag, bool is_begun) {
    const std::unique_ptr<FileLock> lock = FileLock::TryAcquire(cache_.LockPath(etag));
    if (lock == nullptr) return false;
    if (cache_.MayBeLinked(etag)) return true;
    return Remove(cache_.BlobPath(etag)) && (!is_begun || Remove(cache_.IncompletePath(etag)));
  }

  const std::string commit_;
  const RepoCache cache_;
  const FetchRecord record_;
  std::vector<std::string>& problems_;
};

// The exclusive lock on a revision; nullptr where somebody uses it.
std::unique_ptr<FileLock> Claim(const ScannedRevision& revision, const std::string& cache_dir) {
  return FileLock::TryAcquire(FetchRecord(RepoCache(cache_dir, revision.repo), revision.commit).path());
}

HeldRevision Described(const ScannedRevision& revision, const CacheBytes& bytes,
                       HeldRevision::Standing standing) {
  HeldRevision held{.repo = revision.repo,
                    .commit = revision.commit,
                    .names = revision.names,
                    .standing = standing,
                    .last_use = revision.last_use};
  if (revision.is_ours && !bytes.IsAllOfOthers(revision)) {
    held.bytes = bytes.OursOf(revision);
  } else {
    for (const auto& [path, size] : revision.files) held.bytes += size;
  }
  return held;
}

// The commits of others' revisions that have a file of it.
std::vector<std::string> SharersOf(const ScannedRevision& revision,
                                   const std::vector<ScannedRevision>& revisions) {
  std::vector<std::string> sharers;
  for (const ScannedRevision& other : revisions) {
    const auto has = [&](const auto& file) { return other.files.contains(file.first); };
    if (!other.is_ours && std::ranges::any_of(revision.files, has)) sharers.push_back(other.commit);
  }
  return sharers;
}

std::vector<const ScannedRevision*> OursByLastUse(const std::vector<ScannedRevision>& revisions) {
  std::vector<const ScannedRevision*> ours;
  for (const ScannedRevision& revision : revisions) {
    if (revision.is_ours) ours.push_back(&revision);
  }
  std::ranges::stable_sort(ours, {}, [](const ScannedRevision* revision) { return revision->last_use; });
  return ours;
}

void LogReport(const PruneReport& report) {
  for (const HeldRevision& removed : report.removed) {
    Log(LogLevel::kInfo, kLogSubject,
        absl::StrCat("removed ", removed.repo, "@",
                     removed.names.empty() ? removed.commit : absl::StrJoin(removed.names, ", "), ", ",
                     InMegabytes(removed.bytes), ", last used ",
                     absl::FormatTime("%Y-%m-%d %H:%M", removed.last_use, absl::LocalTimeZone())));
  }
  for (const std::string& problem : report.problems) Log(LogLevel::kWarning, kLogSubject, problem);
}

}  // namespace

std::vector<HeldRevision> ListHeld(const std::string& cache_dir) {
  using enum HeldRevision::Standing;
  const std::vector<ScannedRevision> revisions = ScanCache(cache_dir);
  const CacheBytes bytes(revisions);
  std::vector<HeldRevision> list;
  for (const ScannedRevision& revision : revisions) {
    const auto standing = !revision.is_ours                       ? kOfOthers
                          : Claim(revision, cache_dir) == nullptr ? kInUse
                          : bytes.IsAllOfOthers(revision)         ? kShared
                                                                  : kUnused;
    list.push_back(Described(revision, bytes, standing));
    if (standing == kShared) list.back().sharers = SharersOf(revision, revisions);
  }
  return list;
}

absl::StatusOr<PruneReport> Prune(const std::string& cache_dir, uint64_t keep_bytes, bool dry_run,
                                  const std::stop_token& stop) {
  std::error_code error;
  if (!fs::exists(cache_dir, error)) return PruneReport{};
  std::unique_ptr<FileLock> pruning;
  if (!dry_run) {
    INDUCT_ASSIGN_OR_RETURN(pruning, LockPruning(cache_dir, stop));
  }
  const std::vector<ScannedRevision> revisions = ScanCache(cache_dir);
  CacheBytes bytes(revisions);
  PruneReport report;
  for (const ScannedRevision* revision : OursByLastUse(revisions)) {
    if (bytes.ours() <= keep_bytes) break;
    if (stop.stop_requested()) return Stopped();
    if (bytes.IsAllOfOthers(*revision)) continue;  // without it nothing more would be free
    const std::unique_ptr<FileLock> claim = Claim(*revision, cache_dir);
    if (claim == nullptr) continue;
    if (!dry_run && !RevisionRemover(*revision, cache_dir, report.problems).Run()) continue;
    report.removed.push_back(Described(*revision, bytes, HeldRevision::Standing::kUnused));
    report.freed_bytes += bytes.Remove(*revision);
  }
  report.left_bytes = bytes.ours();
  return report;
}

absl::Status KeepWithinLimit(const HubOptions& options, uint64_t bytes_to_come, const std::stop_token& stop) {
  if (!options.max_fetched_bytes) return absl::OkStatus();
  const uint64_t limit = *options.max_fetched_bytes, keep = limit - std::min(limit, bytes_to_come);
  const absl::StatusOr<PruneReport> report = Prune(options.cache_dir, keep, /*dry_run=*/false, stop);
  if (absl::IsCancelled(report.status())) return report.status();
  if (!report.ok()) {
    Log(LogLevel::kWarning, kLogSubject,
        absl::StrCat("nothing was removed: ", std::string(report.status().message())));
    return absl::OkStatus();
  }
  LogReport(*report);
  if (report->left_bytes <= keep) return absl::OkStatus();
  Log(LogLevel::kWarning, kLogSubject,
      absl::StrCat(InMegabytes(report->left_bytes), " stay, as they are in use or cannot be removed, ",
                   InMegabytes(bytes_to_come), " are about to come, and limits.hub_cache_mb allows ",
                   InMegabytes(limit)));
  return absl::OkStatus();
}

}  // namespace induct::hub
