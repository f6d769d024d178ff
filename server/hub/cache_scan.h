// Whose the revisions in a cache are, and what each takes of the disk.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace induct::hub {

struct ScannedRevision {
  std::string repo;
  std::string commit;
  std::vector<std::string> names;  // the branches and tags that stand for it here
  // Whether servers fetched all of it: then it may be removed, if nobody uses it.
  bool is_ours = false;
  absl::Time last_use = absl::InfinitePast();  // by servers; of what is ours
  // Its bytes by path: blobs, the unfinished ones that servers began, and files that are no links. Of what is
  // ours also those that no snapshot links any more, as when a removal broke off.
  std::map<std::string, uint64_t> files;
};

// Everything in the cache, or one repository of it. Safe to call at any time; what others change meanwhile is
// seen or not.
std::vector<ScannedRevision> ScanCache(const std::string& cache_dir);
std::vector<ScannedRevision> ScanRepo(const std::string& cache_dir, const std::string& repo);

// Who needs which bytes: what goes when revisions go.
class CacheBytes {
 public:
  explicit CacheBytes(const std::vector<ScannedRevision>& revisions);

  // Of the files that only revisions fetched by servers need, each once.
  uint64_t ours() const { return ours_; }
  // Of the revision's files those that nobody else's revision needs.
  uint64_t OursOf(const ScannedRevision& revision) const;
  // Whether others' revisions need every one of its files: removed, it would leave all its bytes.
  bool IsAllOfOthers(const ScannedRevision& revision) const;
  // Takes the revision away; the bytes that nobody needs any more. REQUIRES: it is one of those given, and
  // ours.
  uint64_t Remove(const ScannedRevision& revision);

 private:
  std::set<std::string> of_others_;
  std::map<std::string, int> users_;  // how many of our revisions need the file
  uint64_t ours_ = 0;
};

}  // namespace induct::hub
