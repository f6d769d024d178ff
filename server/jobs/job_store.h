// Where jobs, their events and artifacts are kept. The scheduler is its only writer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/job.h"

namespace induct::jobs {

using JobFilter = std::function<bool(const JobRecord&)>;

// Implementations may block on I/O: never call one from a gRPC thread or with a lock held that such a thread
// takes. Safe for concurrent use. Every call may fail with INTERNAL or UNAVAILABLE where the storage fails.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Whether what is stored outlives the process: then a stopping server puts jobs back instead of failing
  // them.
  virtual bool durable() const = 0;
  // Jobs in no terminal state, oldest first: what a scheduler takes over when it starts; those that
  // had begun as a further attempt.
  virtual absl::StatusOr<std::vector<JobRecord>> ListLive() const = 0;

  // Stores a new job and its kAccepted event as sequence 1, in one step. ALREADY_EXISTS where the name is
  // taken.
  virtual absl::Status Create(const JobRecord& record) = 0;

  // Replaces the record of an existing job and, where `event` is given, appends it in the same step; the
  // sequence number that it got is returned (0 without an event).
  virtual absl::StatusOr<uint64_t> Update(const JobRecord& record, const StoredEvent* event) = 0;

  // Keeps the artifact's bytes and appends its kArtifact event. The same name again replaces the bytes.
  virtual absl::StatusOr<uint64_t> PutArtifact(const std::string& job, uint32_t attempt,
                                               const ArtifactDescriptor& descriptor, std::string bytes) = 0;

  // NOT_FOUND (JOB_NOT_FOUND).
  virtual absl::StatusOr<JobRecord> Get(const std::string& job) const = 0;
  // The job that `owner` submitted under this request id, if there is one.
  virtual absl::StatusOr<std::optional<JobRecord>> FindRequest(const std::string& owner,
                                                               const std::string& request_id) const = 0;
  // Newest first, at most `limit` that `wanted` takes, of those created before the job `before` (empty: from
  // the newest on). `wanted` is called with locks held: it must not call back.
  virtual absl::StatusOr<std::vector<JobRecord>> List(const JobFilter& wanted, const std::string& before,
                                                      size_t limit) const = 0;

  // Events with sequence > after, rising; stops after `max_bytes` of payload (but returns at least one where
  // there is one).
  virtual absl::StatusOr<std::vector<StoredEvent>> ReadEvents(const std::string& job, uint64_t after,
                                                              size_t max_bytes) const = 0;

  // Bytes [offset, offset + limit) of an artifact. NOT_FOUND (ARTIFACT_NOT_FOUND) where name or sha256 do not
  // match; OUT_OF_RANGE where offset is beyond its size. An empty sha256 matches any.
  virtual absl::StatusOr<std::string> ReadArtifact(const std::string& job, const std::string& name,
                                                   const std::string& sha256, uint64_t offset,
                                                   size_t limit) const = 0;

  // Ended jobs that are kept, and the bytes of their requests, events and artifacts. Never blocks on I/O.
  struct Kept {
    size_t jobs = 0;
    size_t bytes = 0;
  };
  virtual Kept kept() const = 0;

  // Forgets a job in a terminal state with its events and artifacts. FAILED_PRECONDITION for one that still
  // lives.
  virtual absl::Status Delete(const std::string& job) = 0;
};

// In memory: gone with the process. Of ended jobs at most `max_jobs` and `max_bytes` (requests, events and
// artifacts) are kept; beyond, those that ended first are forgotten, but never the job that ended last, so
// that its client can still read how it went.
struct MemoryJobStoreLimits {
  size_t max_jobs = 1000;
  size_t max_bytes = size_t{2} << 30;
};
std::unique_ptr<JobStore> NewMemoryJobStore(const MemoryJobStoreLimits& limits);

}  // namespace induct::jobs
