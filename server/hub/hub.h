// server/hub finds models in the Hugging Face cache and downloads what is missing there. Must not know: what
// the files mean beyond their names, devices, jobs, gRPC, messages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/hub/hub_options.h"
#include "server/hub/repo_revision.h"

namespace induct::hub {

// A folder in the layout of the Hugging Face cache that holds a whole model: config.json, one set of weights
// and, where the repository has them, tokenizer.json and tokenizer_config.json.
struct Snapshot {
  std::string directory;
  std::string commit;
  // Of what Fetch returns: while it lives, no server that uses this cache removes the snapshot. Nullptr where
  // none ever would.
  std::shared_ptr<const void> use = nullptr;
};

// What a model is that need not be here: its configuration and tokenizer, without its weights.
struct Outline {
  std::string directory;  // in the layout of the cache, with config.json and the tokenizer's files
  std::string commit;
  std::optional<uint64_t> weight_bytes;  // of the files of weights, where the hub says their sizes
};

// A snapshot as it can be asked for: by a branch or tag, or, where none names it, by its commit.
struct CachedRevision {
  std::string repo;
  std::string revision;
  std::string commit;
  std::string directory;
};

// A revision as it takes room in the cache, whole or not.
struct HeldRevision {
  // Those that servers fetched may be removed when they are unused. What others (Python) put there, all of it
  // or a file, stays, and with it a revision of which they have every file: removing it would free nothing.
  enum class Standing { kUnused, kInUse, kShared, kOfOthers };

  std::string repo;
  std::string commit;
  std::vector<std::string> names;  // the branches and tags that stand for it here
  Standing standing = Standing::kOfOthers;
  // Of its files; of one that may be removed without those that revisions of others need, too.
  uint64_t bytes = 0;
  std::vector<std::string> sharers;  // of one that is kShared: commits of others' that have its files
  absl::Time last_use = absl::InfinitePast();  // by servers
};

struct PruneReport {
  std::vector<HeldRevision> removed;  // the least recently used first; of a dry run those that would be
  uint64_t freed_bytes = 0;
  uint64_t left_bytes = 0;            // in revisions that servers fetched
  std::vector<std::string> problems;  // a sentence for each file that could not be removed
};

// What a download is doing.
struct DownloadProgress {
  std::string file;          // the one that is being fetched; empty while the hub is asked what there is
  uint64_t done_bytes = 0;   // of the files that the snapshot lacks, in all
  uint64_t total_bytes = 0;  // 0: not known yet
  std::string note;          // why it stands still ("waiting for another process"); empty while bytes come
};

// Called on the thread that fetches, a few times a second at most; may be empty.
using ProgressSink = std::function<void(const DownloadProgress&)>;

// A hub and its cache. Safe for concurrent use; other processes, Python's too, may use the same cache at the
// same time.
class Hub {
 public:
  // INVALID_ARGUMENT, see CheckOptions. Makes no request and no folder.
  static absl::StatusOr<std::unique_ptr<Hub>> Create(HubOptions options);

  const HubOptions& options() const { return options_; }

  // Bytes that may still be written to the cache's disk; nullopt where the system does not say.
  std::optional<uint64_t> FreeBytes() const;

  // From the cache alone, without a request. NOT_FOUND (MODEL_NOT_FOUND) where what is needed is not all
  // there. A tokenizer that was not downloaded counts as missing, unless the options say offline: then a
  // model without one is better than none.
  absl::StatusOr<Snapshot> Find(const RepoRevision& wanted) const;

  // The same, downloading what is missing; blocks on the network: never on a gRPC or device thread. What is
  // in the cache is used without a request, a branch as it was when it was fetched. Before it downloads it
  // keeps the cache within the options' limit. What one call has
  // downloaded when it ends early, the next one does not download again. Errors:
  // - NOT_FOUND (MODEL_NOT_FOUND): no such repository or revision, or not without a token; or offline.
  // - FAILED_PRECONDITION (HUB_ACCESS_DENIED): gated, or the token is refused.
  // - FAILED_PRECONDITION (UNSUPPORTED_MODEL): the repository holds no model that induct could read.
  // - FAILED_PRECONDITION (BAD_CHECKPOINT): its index of shards is broken.
  // - FAILED_PRECONDITION (HUB_CACHE_UNUSABLE): the disk is full, or the cache cannot be written.
  // - FAILED_PRECONDITION (HUB_UNAVAILABLE): further attempts will meet the same, as where a certificate is
  //   not trusted or the endpoint is no hub.
  // - UNAVAILABLE (HUB_UNAVAILABLE): no connection, or errors 408, 429 and 5xx, again and again.
  // - DATA_LOSS (HUB_WRONG_CONTENT): twice other bytes than the hub announces.
  // - CANCELLED: `stop`, honoured within a second.
  absl::StatusOr<Snapshot> Fetch(const RepoRevision& wanted, const ProgressSink& on_progress,
                                 std::stop_token stop) const;

  // What the hub tells of a model, which is asked whatever the cache holds; downloads the small files alone,
  // for which the snapshot stays one that lacks its weights. Tries once more what fails. Blocks on the
  // network. Errors of Fetch, and BAD_CHECKPOINT where one of these files is larger than any that is read.
  absl::StatusOr<Outline> Look(const RepoRevision& wanted, std::stop_token stop) const;

  // What the cache holds whole, sorted by repository and revision.
  std::vector<CachedRevision> List() const;

  // Of the cache, what only revisions fetched by servers need.
  uint64_t FetchedBytes() const;

  // All that takes room in the cache, sorted by repository and commit.
  std::vector<HeldRevision> ListHeld() const;

  // Removes revisions that servers fetched and nobody uses, the least recently used first, until those that
  // are left take `keep_bytes` or less; a dry run only says which. Blobs that other revisions need stay.
  // FAILED_PRECONDITION (HUB_CACHE_UNUSABLE) where the cache cannot be locked; CANCELLED soon after `stop`.
  absl::StatusOr<PruneReport> Prune(uint64_t keep_bytes, bool dry_run, std::stop_token stop) const;

  // Prunes to the options' limit, if there is one, and says in the log what was done. Only CANCELLED fails.
  absl::Status KeepWithinLimit(std::stop_token stop) const;

 private:
  // What Find finds, in use from now on.
  absl::StatusOr<Snapshot> Use(const RepoRevision& wanted, const std::stop_token& stop) const;

  explicit Hub(HubOptions options) : options_(std::move(options)) {}

  const HubOptions options_;
};

}  // namespace induct::hub
