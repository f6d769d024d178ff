#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "server/jobs/job_store.h"

namespace induct::jobs {
namespace {

struct Artifact {
  std::string sha256;
  std::shared_ptr<const std::string> bytes;  // shared with readers, who copy their part without the lock
};

struct Entry {
  JobRecord record;
  std::vector<StoredEvent> events;  // events[i].sequence == i + 1
  std::map<std::string, Artifact> artifacts;
  size_t bytes = 0;        // of all that has no fixed size
  uint64_t end_order = 0;  // of a terminal job: its key in ended_
};

absl::Status JobNotFound(const std::string& job) {
  return WithReason(absl::NotFoundError(
                        absl::StrCat("there is no job ", job, "; it may have been forgotten since it ended")),
                    reason::kJobNotFound);
}

// Names sort by time, so the map's order is the order of creation. Safe for concurrent use; nothing here
// blocks on I/O.
class MemoryJobStore final : public JobStore {
 public:
  explicit MemoryJobStore(const MemoryJobStoreLimits& limits) : limits_(limits) {}

  bool durable() const override { return false; }
  absl::StatusOr<std::vector<JobRecord>> ListLive() const override;
  absl::Status Create(const JobRecord& record) override;
  absl::StatusOr<uint64_t> Update(const JobRecord& record, const StoredEvent* event) override;
  absl::StatusOr<uint64_t> PutArtifact(const std::string& job, uint32_t attempt,
                                       const ArtifactDescriptor& descriptor, std::string bytes) override;
  absl::StatusOr<JobRecord> Get(const std::string& job) const override;
  absl::StatusOr<std::optional<JobRecord>> FindRequest(const std::string& owner,
                                                       const std::string& request_id) const override;
  absl::StatusOr<std::vector<JobRecord>> List(const JobFilter& wanted, const std::string& before,
                                              size_t limit) const override;
  absl::StatusOr<std::vector<StoredEvent>> ReadEvents(const std::string& job, uint64_t after,
                                                      size_t max_bytes) const override;
  absl::StatusOr<std::string> ReadArtifact(const std::string& job, const std::string& name,
                                           const std::string& sha256, uint64_t offset,
                                           size_t limit) const override;
  Kept kept() const override;
  absl::Status Delete(const std::string& job) override;

 private:
  absl::StatusOr<const Entry*> Find(const std::string& job) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Entry*> Find(const std::string& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Artifact> FindArtifact(const std::string& job, const std::string& name,
                                        const std::string& sha256) const;
  uint64_t Append(Entry& entry, StoredEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::string& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetBeyondLimits() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const MemoryJobStoreLimits limits_;

  mutable absl::Mutex mutex_;
  std::map<std::string, Entry> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, std::string> requests_
      ABSL_GUARDED_BY(mutex_);  // (owner, id): job
  std::map<uint64_t, std::string> ended_
      ABSL_GUARDED_BY(mutex_);  // terminal jobs in the order in which they ended
  uint64_t next_end_order_ ABSL_GUARDED_BY(mutex_) = 1;
  size_t ended_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // requests, events and artifacts of ended jobs
};

absl::StatusOr<const Entry*> MemoryJobStore::Find(const std::string& job) const {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return JobNotFound(job);
  return &found->second;
}

absl::StatusOr<Entry*> MemoryJobStore::Find(const std::string& job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return JobNotFound(job);
  return &found->second;
}

absl::StatusOr<std::vector<JobRecord>> MemoryJobStore::ListLive() const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<JobRecord> live;
  for (const auto& [name, entry] : jobs_) {
    if (!IsTerminal(entry.record.state)) live.push_back(entry.record);
  }
  return live;
}

absl::Status MemoryJobStore::Create(const JobRecord& record) {
  absl::MutexLock lock(&mutex_);
  const auto [found, created] = jobs_.try_emplace(record.name);
  if (!created) return absl::AlreadyExistsError(absl::StrCat("there is a job ", record.name, " already"));
  Entry& entry = found->second;
  entry.record = record;
  entry.bytes = record.spec.request.size() + record.spec.accepted.size();
  if (!record.spec.request_id.empty()) requests_[{record.spec.owner, record.spec.request_id}] = record.name;
  Append(entry, {.attempt = record.attempt,
                 .time = record.created,
                 .type = EventType::kAccepted,
                 .payload = record.spec.accepted});
  ForgetBeyondLimits();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemoryJobStore::Update(const JobRecord& record, const StoredEvent* event) {
  absl::MutexLock lock(&mutex_);
  INDUCT_ASSIGN_OR_RETURN(Entry * entry, Find(record.name));
  entry->record = record;
  const uint64_t sequence = event == nullptr ? 0 : Append(*entry, *event);
  if (IsTerminal(record.state) && entry->end_order == 0) {
    entry->end_order = next_end_order_++;
    ended_bytes_ += entry->bytes;
    ended_[entry->end_order] = record.name;
  }
  ForgetBeyondLimits();
  return sequence;
}

absl::StatusOr<uint64_t> MemoryJobStore::PutArtifact(const std::string& job, uint32_t attempt,
                                                     const ArtifactDescriptor& descriptor,
                                                     std::string bytes) {
  auto kept = std::make_shared<const std::string>(std::move(bytes));
  absl::MutexLock lock(&mutex_);
  INDUCT_ASSIGN_OR_RETURN(Entry * entry, Find(job));
  Artifact& artifact = entry->artifacts[descriptor.name];
  if (artifact.bytes != nullptr) entry->bytes -= artifact.bytes->size();
  entry->bytes += kept->size();
  artifact = {.sha256 = descriptor.sha256, .bytes = std::move(kept)};
  const uint64_t sequence =
      Append(*entry,
             {.attempt = attempt, .time = absl::Now(), .type = EventType::kArtifact, .artifact = descriptor});
  ForgetBeyondLimits();
  return sequence;
}

absl::StatusOr<JobRecord> MemoryJobStore::Get(const std::string& job) const {
  absl::ReaderMutexLock lock(&mutex_);
  INDUCT_ASSIGN_OR_RETURN(const Entry* entry, Find(job));
  return entry->record;
}

absl::StatusOr<std::optional<JobRecord>> MemoryJobStore::FindRequest(const std::string& owner,
                                                                     const std::string& request_id) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = requests_.find({owner, request_id});
  if (found == requests_.end()) return std::nullopt;
  INDUCT_ASSIGN_OR_RETURN(const Entry* entry, Find(found->second));
  return entry->record;
}

absl::StatusOr<std::vector<JobRecord>> MemoryJobStore::List(const JobFilter& wanted,
                                                            const std::string& before, size_t limit) const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<JobRecord> listed;
  auto next = before.empty() ? jobs_.end() : jobs_.lower_bound(before);
  while (next != jobs_.begin() && listed.size() < limit) {
    const JobRecord& record = (--next)->second.record;
    if (wanted(record)) listed.push_back(record);
  }
  return listed;
}

absl::StatusOr<std::vector<StoredEvent>> MemoryJobStore::ReadEvents(const std::string& job, uint64_t after,
                                                                    size_t max_bytes) const {
  absl::ReaderMutexLock lock(&mutex_);
  INDUCT_ASSIGN_OR_RETURN(const Entry* entry, Find(job));
  std::vector<StoredEvent> page;
  size_t bytes = 0;
  for (uint64_t i = after; i < entry->events.size(); ++i) {
    bytes += entry->events[i].payload.size();
    if (bytes > max_bytes && !page.empty()) break;
    page.push_back(entry->events[i]);
  }
  return page;
}

absl::StatusOr<Artifact> MemoryJobStore::FindArtifact(const std::string& job, const std::string& name,
                                                      const std::string& sha256) const {
  absl::ReaderMutexLock lock(&mutex_);
  INDUCT_ASSIGN_OR_RETURN(const Entry* entry, Find(job));
  const auto found = entry->artifacts.find(name);
  if (found == entry->artifacts.end() || (!sha256.empty() && found->second.sha256 != sha256)) {
    return WithReason(absl::NotFoundError(absl::StrCat(job, " has no artifact ", name,
                                                       sha256.empty() ? "" : " with SHA-256 ", sha256,
                                                       "; its artifact events list what there is")),
                      reason::kArtifactNotFound);
  }
  return found->second;
}

absl::StatusOr<std::string> MemoryJobStore::ReadArtifact(const std::string& job, const std::string& name,
                                                         const std::string& sha256, uint64_t offset,
                                                         size_t limit) const {
  INDUCT_ASSIGN_OR_RETURN(const Artifact artifact, FindArtifact(job, name, sha256));
  if (offset > artifact.bytes->size()) {
    return absl::OutOfRangeError(absl::StrCat("offset ", offset, " is beyond the ", artifact.bytes->size(),
                                              " bytes of ", name, " of ", job));
  }
  return artifact.bytes->substr(offset, limit);
}

JobStore::Kept MemoryJobStore::kept() const {
  absl::ReaderMutexLock lock(&mutex_);
  return {.jobs = ended_.size(), .bytes = ended_bytes_};
}

absl::Status MemoryJobStore::Delete(const std::string& job) {
  absl::MutexLock lock(&mutex_);
  INDUCT_ASSIGN_OR_RETURN(const Entry* entry, Find(job));
  if (!IsTerminal(entry->record.state)) {
    return absl::FailedPreconditionError(absl::StrCat(
        job, " is ", std::string(JobStateName(entry->record.state)), "; cancel it before deleting it"));
  }
  Forget(job);
  return absl::OkStatus();
}

uint64_t MemoryJobStore::Append(Entry& entry, StoredEvent event) {
  event.sequence = entry.events.size() + 1;
  entry.bytes += event.payload.size();
  entry.events.push_back(std::move(event));
  return entry.events.size();
}

void MemoryJobStore::Forget(const std::string& job) {
  const auto found = jobs_.find(job);
  const Entry& entry = found->second;
  requests_.erase({entry.record.spec.owner, entry.record.spec.request_id});
  ended_.erase(entry.end_order);
  if (entry.end_order != 0) ended_bytes_ -= entry.bytes;
  jobs_.erase(found);
}

void MemoryJobStore::ForgetBeyondLimits() {
  while (ended_.size() > 1 && (ended_.size() > limits_.max_jobs || ended_bytes_ > limits_.max_bytes)) {
    Forget(std::string(ended_.begin()->second));
  }
}

}  // namespace

std::unique_ptr<JobStore> NewMemoryJobStore(const MemoryJobStoreLimits& limits) {
  return std::make_unique<MemoryJobStore>(limits);
}

}  // namespace induct::jobs
