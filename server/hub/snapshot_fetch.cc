#include "server/hub/snapshot_fetch.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/atomic_file.h"
#include "common/quoted.h"
#include "common/shard_limits.h"
#include "common/status.h"
#include "server/hub/fetch_record.h"
#include "server/hub/prune.h"

namespace induct::hub {
namespace {

constexpr size_t kMaxNamedFiles = 5;
constexpr uint64_t kMaxSmallBytes = uint64_t{128} << 20;  // more than server/checkpoint reads of such a file
constexpr std::string_view kSmallFiles[] = {kConfigFile, kTokenizerFile, kTokenizerConfigFile};

absl::Status CheckIsSmall(const RepoRevision& wanted, const RemoteFile& file) {
  if (file.size.value_or(0) <= kMaxSmallBytes) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(Describe(wanted), ": ", file.name, " has ", *file.size,
                                                 " bytes, and at most ", kMaxSmallBytes, " are read of it")),
      reason::kBadCheckpoint);
}

absl::Status NoModel(const RepoRevision& wanted, const RepoListing& listing, const std::string& what) {
  std::vector<std::string> some;
  for (const std::string& file : listing.files) {
    if (some.size() < kMaxNamedFiles) some.push_back(Quoted(file));
  }
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(Describe(wanted), " holds ", what, "; its ",
                                                 listing.files.size(), " files: ", absl::StrJoin(some, ", "),
                                                 some.size() < listing.files.size() ? ", ..." : "")),
      reason::kUnsupportedModel);
}

}  // namespace

SnapshotFetch::SnapshotFetch(const RepoRevision& wanted, const HubOptions& options, const RepoCache& cache,
                             const ProgressSink& on_progress, std::stop_token stop)
    : wanted_(wanted),
      options_(options),
      cache_(cache),
      stop_(stop),
      progress_(on_progress),
      client_(options, wanted, stop),
      fetcher_(client_, cache, options, progress_, stop) {}

absl::StatusOr<Snapshot> SnapshotFetch::Run() {
  progress_.BeginFile("");
  INDUCT_ASSIGN_OR_RETURN(const RepoListing listing, Retried(NewRetry(), [&] { return client_.List(); }));
  INDUCT_ASSIGN_OR_RETURN(const std::vector<std::string> names, NeededFiles(listing));
  INDUCT_ASSIGN_OR_RETURN(const std::vector<RemoteFile> missing, StatMissing(listing.commit, names));
  INDUCT_RETURN_IF_ERROR(MakeRoom(missing));
  for (const RemoteFile& file : missing) INDUCT_RETURN_IF_ERROR(fetcher_.Fetch(listing.commit, file));
  INDUCT_RETURN_IF_ERROR(cache_.WriteRef(wanted_.revision, listing.commit));
  return Snapshot{.directory = cache_.SnapshotPath(listing.commit), .commit = listing.commit, .use = use_};
}

absl::StatusOr<Outline> SnapshotFetch::RunWithoutWeights() {
  INDUCT_ASSIGN_OR_RETURN(const RepoListing listing, Retried(NewRetry(), [&] { return client_.List(); }));
  INDUCT_ASSIGN_OR_RETURN(const std::vector<std::string> names, NeededFiles(listing));
  Outline outline{.directory = cache_.SnapshotPath(listing.commit), .commit = listing.commit, .weight_bytes = 0};
  for (const std::string& name : names) {
    const bool is_weights = std::ranges::find(kSmallFiles, name) == std::end(kSmallFiles);
    if (!is_weights && cache_.Holds(listing.commit, name)) continue;
    INDUCT_ASSIGN_OR_RETURN(const RemoteFile file, Stat(listing.commit, name));
    if (!is_weights) {
      INDUCT_RETURN_IF_ERROR(CheckIsSmall(wanted_, file));
      INDUCT_RETURN_IF_ERROR(fetcher_.Fetch(listing.commit, file));
    } else if (outline.weight_bytes && file.size) {
      *outline.weight_bytes += *file.size;
    } else {
      outline.weight_bytes.reset();
    }
  }
  return outline;
}

absl::StatusOr<std::vector<std::string>> SnapshotFetch::NeededFiles(const RepoListing& listing) {
  const std::set<std::string> files(listing.files.begin(), listing.files.end());
  const auto is_there = [&](const std::string& name) { return files.contains(name); };
  if (!is_there(kConfigFile)) return NoModel(wanted_, listing, "no config.json");
  const std::optional<WeightChoice> weights = ChooseWeights(is_there);
  if (!weights) return NoModel(wanted_, listing, "no weights as safetensors or pytorch_model.bin");
  INDUCT_ASSIGN_OR_RETURN(use_, FetchRecord(cache_, listing.commit).Begin(stop_));

  std::vector<std::string> needed = {kConfigFile};
  for (const char* name : {kTokenizerFile, kTokenizerConfigFile}) {
    if (is_there(name)) {
      needed.push_back(name);
    } else {
      INDUCT_RETURN_IF_ERROR(cache_.NoteAbsent(listing.commit, name));
    }
  }
  if (!weights->is_index) {
    needed.push_back(weights->file);
    return needed;
  }
  INDUCT_ASSIGN_OR_RETURN(const std::vector<std::string> shards, ShardsOf(listing, *weights));
  for (const std::string& shard : shards) {
    if (!is_there(shard))
      return NoModel(wanted_, listing, absl::StrCat("no ", shard, ", which ", weights->file, " names"));
    needed.push_back(shard);
  }
  return needed;
}

absl::StatusOr<std::vector<std::string>> SnapshotFetch::ShardsOf(const RepoListing& listing,
                                                                 const WeightChoice& weights) {
  if (!cache_.Holds(listing.commit, weights.file)) {
    INDUCT_ASSIGN_OR_RETURN(const RemoteFile index, Stat(listing.commit, weights.file));
    INDUCT_RETURN_IF_ERROR(fetcher_.Fetch(listing.commit, index));
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string text,
                          ReadFile(cache_.FilePath(listing.commit, weights.file), kMaxShardIndexBytes));
  return ParseShardNames(text, weights.shard_suffix, absl::StrCat(Describe(wanted_), ": ", weights.file));
}

absl::StatusOr<std::vector<RemoteFile>> SnapshotFetch::StatMissing(const std::string& commit,
                                                                   const std::vector<std::string>& names) {
  std::vector<RemoteFile> missing;
  uint64_t total = 0;
  for (const std::string& name : names) {
    if (cache_.Holds(commit, name)) continue;
    INDUCT_ASSIGN_OR_RETURN(RemoteFile file, Stat(commit, name));
    total += file.size.value_or(0);
    missing.push_back(std::move(file));
  }
  progress_.SetTotal(total);
  return missing;
}

absl::StatusOr<RemoteFile> SnapshotFetch::Stat(const std::string& commit, const std::string& name) {
  return Retried(NewRetry(), [&] { return client_.Stat(commit, name); });
}

absl::Status SnapshotFetch::MakeRoom(const std::vector<RemoteFile>& missing) const {
  INDUCT_RETURN_IF_ERROR(cache_.MakeBlobFolders());
  uint64_t needed = 0;
  for (const RemoteFile& file : missing) {
    const uint64_t size = file.size.value_or(0);
    needed += size - std::min(size, fetcher_.BytesThere(file));
  }
  INDUCT_RETURN_IF_ERROR(KeepWithinLimit(options_, needed, stop_));
  const std::optional<uint64_t> free = FreeBytes(cache_.folder());
  if (!free || needed <= *free) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "hub cache: ", Describe(wanted_), " needs ", needed, " more bytes in ", cache_.folder(), ", where ",
          *free, " are free; free space there, or let HF_HUB_CACHE name a folder on a larger disk")),
      reason::kHubCacheUnusable);
}

Retry SnapshotFetch::NewRetry() {
  return Retry(
      options_.retry, [this](const std::string& note) { progress_.Note(note); }, stop_);
}

}  // namespace induct::hub
