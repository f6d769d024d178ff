#include "server/cache_command.h"

#include <algorithm>
#include <cstdio>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/status.h"

namespace induct {
namespace {

// "812 B", "3.0 kB", "1.62 GB": decimal units, as disks and hubs have them.
std::string Size(uint64_t bytes) {
  const double size = static_cast<double>(bytes);
  if (size >= 1e9) return absl::StrFormat("%.2f GB", size / 1e9);
  if (size >= 1e6) return absl::StrFormat("%.1f MB", size / 1e6);
  if (size >= 1e3) return absl::StrFormat("%.1f kB", size / 1e3);
  return absl::StrCat(bytes, " B");
}

// By the names that stand for it, else by its commit.
std::string NameOf(const hub::HeldRevision& revision) {
  return absl::StrCat(revision.repo, "@",
                      revision.names.empty() ? revision.commit : absl::StrJoin(revision.names, ","));
}

std::string LastUse(const hub::HeldRevision& revision) {
  if (revision.last_use == absl::InfinitePast()) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M", revision.last_use, absl::LocalTimeZone());
}

// Of a repository of which all revisions are known.
std::string NameOf(const std::string& repo, const std::string& commit,
                   const std::vector<hub::HeldRevision>& revisions) {
  const auto named = std::ranges::find_if(
      revisions, [&](const hub::HeldRevision& held) { return held.repo == repo && held.commit == commit; });
  return named == revisions.end() ? absl::StrCat(repo, "@", commit) : NameOf(*named);
}

// Whether it may go, and why not.
std::string StandingOf(const hub::HeldRevision& revision, const std::vector<hub::HeldRevision>& revisions) {
  switch (revision.standing) {
    case hub::HeldRevision::Standing::kUnused:
      return "unused";
    case hub::HeldRevision::Standing::kInUse:
      return "in use";
    case hub::HeldRevision::Standing::kShared: {
      std::vector<std::string> sharers;
      for (const std::string& commit : revision.sharers)
        sharers.push_back(NameOf(revision.repo, commit, revisions));
      return absl::StrCat("stays: shares its files with ", absl::StrJoin(sharers, ", "));
    }
    case hub::HeldRevision::Standing::kOfOthers:
      return "not a server's: stays";
  }
  return "";
}

}  // namespace

void ListCache(const hub::Hub& hub) {
  const std::vector<hub::HeldRevision> revisions = hub.ListHeld();
  size_t width = 8;
  for (const hub::HeldRevision& revision : revisions) width = std::max(width, NameOf(revision).size());
  const int columns = static_cast<int>(width);
  std::printf("%-*s  %12s  %-16s  %s\n", columns, "REVISION", "SIZE", "LAST USE", "STATE");
  for (const hub::HeldRevision& revision : revisions) {
    std::printf("%-*s  %12s  %-16s  %s\n", columns, NameOf(revision).c_str(), Size(revision.bytes).c_str(),
                LastUse(revision).c_str(), StandingOf(revision, revisions).c_str());
  }
  std::printf("what servers fetched takes %s of %s\n", Size(hub.FetchedBytes()).c_str(),
              hub.options().cache_dir.c_str());
}

absl::Status PruneCache(const hub::Hub& hub, uint64_t keep_bytes, bool dry_run) {
  INDUCT_ASSIGN_OR_RETURN(const hub::PruneReport report, hub.Prune(keep_bytes, dry_run, std::stop_token()));
  for (const hub::HeldRevision& revision : report.removed) {
    std::printf("%s %s, %s, last used %s\n", dry_run ? "would remove" : "removed", NameOf(revision).c_str(),
                Size(revision.bytes).c_str(), LastUse(revision).c_str());
  }
  std::printf("%s %s; of what servers fetched %s %s%s\n", Size(report.freed_bytes).c_str(),
              dry_run ? "would be free" : "freed", Size(report.left_bytes).c_str(),
              dry_run ? "would stay" : "stay",
              report.left_bytes > keep_bytes ? ", more than allowed: in use, or not removable" : "");
  if (report.problems.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrJoin(report.problems, "\n"));
}

}  // namespace induct
