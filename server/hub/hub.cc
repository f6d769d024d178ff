#include "server/hub/hub.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/hub/cache.h"
#include "server/hub/cache_scan.h"
#include "server/hub/fetch_record.h"
#include "server/hub/file_lock.h"
#include "server/hub/prune.h"
#include "server/hub/snapshot_fetch.h"

namespace induct::hub {
namespace {

constexpr int kLookAttempts = 2;  // somebody waits for the answer

absl::Status NotInCache(const RepoRevision& wanted, const std::string& cache_dir) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(Describe(wanted), " is not in the hub cache ", cache_dir)),
      reason::kModelNotFound);
}

absl::Status WhileOffline(const absl::Status& status) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(status.message(), ", and HF_HUB_OFFLINE forbids to download it")),
      ReasonOf(status));
}

bool IsWhole(const RepoCache& cache, const std::string& commit, bool offline) {
  return cache.HoldsModel(commit) && (offline || cache.HoldsTokenizer(commit));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Hub>> Hub::Create(HubOptions options) {
  INDUCT_RETURN_IF_ERROR(CheckOptions(options));
  return std::unique_ptr<Hub>(new Hub(std::move(options)));
}

std::optional<uint64_t> Hub::FreeBytes() const { return hub::FreeBytes(options_.cache_dir); }

absl::StatusOr<Snapshot> Hub::Find(const RepoRevision& wanted) const {
  INDUCT_RETURN_IF_ERROR(CheckNames(wanted));
  const RepoCache cache(options_.cache_dir, wanted.repo);
  const auto commit = cache.CommitOf(wanted.revision);
  if (!commit || !IsWhole(cache, *commit, options_.offline)) return NotInCache(wanted, options_.cache_dir);
  return Snapshot{.directory = cache.SnapshotPath(*commit), .commit = *commit};
}

absl::StatusOr<Snapshot> Hub::Use(const RepoRevision& wanted, const std::stop_token& stop) const {
  INDUCT_ASSIGN_OR_RETURN(const Snapshot found, Find(wanted));
  const RepoCache cache(options_.cache_dir, wanted.repo);
  INDUCT_ASSIGN_OR_RETURN(auto use, FetchRecord(cache, found.commit).Use(stop));
  // Until then somebody may have removed it.
  INDUCT_ASSIGN_OR_RETURN(Snapshot snapshot, Find({.repo = wanted.repo, .revision = found.commit}));
  snapshot.use = std::move(use);
  return snapshot;
}

absl::StatusOr<Snapshot> Hub::Fetch(const RepoRevision& wanted, const ProgressSink& on_progress,
                                    std::stop_token stop) const {
  absl::StatusOr<Snapshot> found = Use(wanted, stop);
  if (found.ok() || !CheckNames(wanted).ok() || absl::IsCancelled(found.status())) return found;
  if (options_.offline) return WhileOffline(found.status());

  const RepoCache cache(options_.cache_dir, wanted.repo);
  const std::optional<std::string> known = cache.CommitOf(wanted.revision);
  const bool only_tokenizer_is_missing = known && cache.HoldsModel(*known);
  HubOptions options = options_;
  if (only_tokenizer_is_missing) options.retry.max_attempts = 1;
  // A branch stays where it was when it was fetched, so what it lacks is that commit's.
  const RepoRevision lacking = {.repo = wanted.repo,
                                .revision = only_tokenizer_is_missing ? *known : wanted.revision};
  absl::StatusOr<Snapshot> snapshot = SnapshotFetch(lacking, options, cache, on_progress, stop).Run();
  if (snapshot.ok() || !only_tokenizer_is_missing || absl::IsCancelled(snapshot.status())) return snapshot;
  Log(LogLevel::kWarning, wanted.repo,
      absl::StrCat("used from the cache without a tokenizer: ", snapshot.status().message()));
  INDUCT_ASSIGN_OR_RETURN(auto use, FetchRecord(cache, *known).Use(stop));
  return Snapshot{.directory = cache.SnapshotPath(*known), .commit = *known, .use = std::move(use)};
}

absl::StatusOr<Outline> Hub::Look(const RepoRevision& wanted, std::stop_token stop) const {
  INDUCT_RETURN_IF_ERROR(CheckNames(wanted));
  if (options_.offline) return WhileOffline(NotInCache(wanted, options_.cache_dir));
  const RepoCache cache(options_.cache_dir, wanted.repo);
  HubOptions options = options_;
  options.retry.max_attempts = std::min(options.retry.max_attempts, kLookAttempts);
  const ProgressSink nobody;
  return SnapshotFetch(wanted, options, cache, nobody, std::move(stop)).RunWithoutWeights();
}

uint64_t Hub::FetchedBytes() const { return CacheBytes(ScanCache(options_.cache_dir)).ours(); }

std::vector<HeldRevision> Hub::ListHeld() const { return hub::ListHeld(options_.cache_dir); }

absl::StatusOr<PruneReport> Hub::Prune(uint64_t keep_bytes, bool dry_run, std::stop_token stop) const {
  return hub::Prune(options_.cache_dir, keep_bytes, dry_run, stop);
}

absl::Status Hub::KeepWithinLimit(std::stop_token stop) const {
  return hub::KeepWithinLimit(options_, /*bytes_to_come=*/0, stop);
}

std::vector<CachedRevision> Hub::List() const {
  std::vector<CachedRevision> list;
  for (const std::string& repo : CachedRepos(options_.cache_dir)) {
    const RepoCache cache(options_.cache_dir, repo);
    std::set<std::string> named;
    const auto add = [&](const std::string& revision, const std::string& commit) {
      if (!IsWhole(cache, commit, options_.offline)) return;
      list.push_back({repo, revision, commit, cache.SnapshotPath(commit)});
      named.insert(commit);
    };
    for (const std::string& revision : cache.Revisions()) {
      if (const auto commit = cache.CommitOf(revision)) add(revision, *commit);
    }
    for (const std::string& commit : cache.Commits()) {
      if (!named.contains(commit)) add(commit, commit);
    }
  }
  return list;
}

}  // namespace induct::hub
