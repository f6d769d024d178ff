#include "server/hub/cache_scan.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "server/hub/cache.h"
#include "server/hub/fetch_record.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;

void AddBytesOf(const std::string& path, std::map<std::string, uint64_t>& files) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (!error) files[path] = size;
}

// What its snapshot holds, links followed once.
void AddSnapshot(const RepoCache& cache, const std::string& commit, std::map<std::string, uint64_t>& files) {
  for (const auto& [path, blob] : cache.FilesOf(commit))
    AddBytesOf(blob.empty() ? path : cache.BlobPath(blob), files);
}

ScannedRevision ScanRevision(const RepoCache& cache, const std::string& commit, bool has_record) {
  ScannedRevision revision{.commit = commit};
  for (const std::string& name : cache.Revisions()) {
    if (cache.CommitOf(name) == commit) revision.names.push_back(name);
  }
  AddSnapshot(cache, commit, revision.files);
  if (!has_record) return revision;
  const FetchRecord::Facts facts = FetchRecord(cache, commit).Read();
  revision.is_ours = facts.snapshot_is_ours;
  if (!revision.is_ours) return revision;
  revision.last_use = facts.last_use;
  for (const std::string& etag : facts.blobs) AddBytesOf(cache.BlobPath(etag), revision.files);
  for (const std::string& etag : facts.begun) AddBytesOf(cache.IncompletePath(etag), revision.files);
  return revision;
}

}  // namespace

std::vector<ScannedRevision> ScanRepo(const std::string& cache_dir, const std::string& repo) {
  const RepoCache cache(cache_dir, repo);
  const std::vector<std::string> here = cache.Commits(), recorded = RecordedCommits(cache);
  std::vector<std::string> commits;
  std::ranges::set_union(here, recorded, std::back_inserter(commits));
  std::vector<ScannedRevision> revisions;
  for (const std::string& commit : commits) {
    ScannedRevision revision = ScanRevision(cache, commit, std::ranges::binary_search(recorded, commit));
    if (revision.files.empty()) continue;  // as a record is whose revision somebody else has removed
    revision.repo = repo;
    revisions.push_back(std::move(revision));
  }
  return revisions;
}

std::vector<ScannedRevision> ScanCache(const std::string& cache_dir) {
  std::vector<ScannedRevision> revisions;
  for (const std::string& repo : CachedRepos(cache_dir)) {
    std::ranges::move(ScanRepo(cache_dir, repo), std::back_inserter(revisions));
  }
  return revisions;
}

CacheBytes::CacheBytes(const std::vector<ScannedRevision>& revisions) {
  for (const ScannedRevision& revision : revisions) {
    if (revision.is_ours) continue;
    for (const auto& [path, size] : revision.files) of_others_.insert(path);
  }
  for (const ScannedRevision& revision : revisions) {
    if (!revision.is_ours) continue;
    for (const auto& [path, size] : revision.files) {
      if (!of_others_.contains(path) && users_[path]++ == 0) ours_ += size;
    }
  }
}

uint64_t CacheBytes::OursOf(const ScannedRevision& revision) const {
  uint64_t bytes = 0;
  for (const auto& [path, size] : revision.files) bytes += of_others_.contains(path) ? 0 : size;
  return bytes;
}

bool CacheBytes::IsAllOfOthers(const ScannedRevision& revision) const {
  return std::ranges::all_of(revision.files,
                             [this](const auto& file) { return of_others_.contains(file.first); });
}

uint64_t CacheBytes::Remove(const ScannedRevision& revision) {
  uint64_t bytes = 0;
  for (const auto& [path, size] : revision.files) {
    if (!of_others_.contains(path) && --users_[path] == 0) bytes += size;
  }
  ours_ -= bytes;
  return bytes;
}

}  // namespace induct::hub
