// Work, store and reader that a test drives step by step.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/jobs/job_store.h"
#include "server/jobs/scheduler.h"

namespace induct::jobs {

// What a test waits for at most before it fails.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

// What the work of one job does.
struct Script {
  std::function<absl::Status(JobContext&)> prepare = [](JobContext&) { return absl::OkStatus(); };
  std::function<absl::StatusOr<std::string>(JobContext&)> run = [](JobContext&) { return "done"; };
  std::function<void()> destroyed = [] {};
};

// Makes scripted work: a job's request names its script; a request without one gets a Script as it is.
class Scripts {
 public:
  void Set(const std::string& request, Script script) {
    absl::MutexLock lock(&mutex_);
    scripts_[request] = std::move(script);
  }
  WorkFactory factory();

 private:
  absl::Mutex mutex_;
  std::map<std::string, Script> scripts_ ABSL_GUARDED_BY(mutex_);
};

// A place where work halts: the test waits until it is there and lets it go on.
struct Gate {
  absl::Notification reached;
  absl::Notification open;

  void Pass() {
    reached.Notify();
    open.WaitForNotification();
  }
};

// Returns when the context's stop token is requested.
void AwaitStop(const JobContext& context);

// The memory store, whose calls can be made to block or to fail, and which can claim to be durable.
class FakeStore final : public JobStore {
 public:
  explicit FakeStore(bool durable = false) : durable_(durable), store_(NewMemoryJobStore({})) {}

  void Block() { SetBlocked(true); }
  void Unblock() { SetBlocked(false); }
  // Waits until this many calls block; false where that takes too long.
  bool AwaitBlockedCalls(int n, absl::Duration patience) const;
  // Writes fail with this status (OK: work again).
  void FailWrites(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    write_status_ = std::move(status);
  }

  bool durable() const override { return durable_; }
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
  Kept kept() const override { return store_->kept(); }
  absl::Status Delete(const std::string& job) override;

 private:
  void SetBlocked(bool blocked);
  void AwaitUnblocked() const;
  absl::Status AwaitWritable() const;

  const bool durable_;
  const std::unique_ptr<JobStore> store_;
  mutable absl::Mutex mutex_;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  mutable int blocked_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status write_status_ ABSL_GUARDED_BY(mutex_);
};

// A watch that reads when it is woken, as a stream does.
class Reader {
 public:
  // Opens a watch, which must succeed.
  Reader(Scheduler& scheduler, const std::string& job, const std::string& watcher = "ada",
         uint64_t after = 0);

  // The events up to the job's last one, or to an error, which goes to `error`.
  std::vector<StoredEvent> ReadToEnd(absl::Status* error = nullptr);
  // Reads until this many events have been read in all.
  std::vector<StoredEvent> ReadAtLeast(size_t n);
  // Waits for a passing event that `wanted` accepts.
  std::optional<PassingEvent> AwaitPassing(const std::function<bool(const PassingEvent&)>& wanted);
  Watch& watch() { return *watch_; }

 private:
  struct Bell {
    absl::Mutex mutex;
    bool rung ABSL_GUARDED_BY(mutex) = false;
  };
  // False where nothing woke the watch in time.
  bool AwaitWake();
  std::vector<StoredEvent> ReadUntil(const std::function<bool(const std::vector<StoredEvent>&)>& enough,
                                     absl::Status* error);

  std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::unique_ptr<Watch> watch_;
};

// A job by "ada" (or `owner`), whose work is the script `request`.
JobSpec SpecOf(const std::string& request, const std::string& owner = "ada");
// The name of the job that Submit accepted, which it must.
std::string MustSubmit(Scheduler& scheduler, JobSpec spec);
// Waits until `condition` holds; for what no event announces.
bool Eventually(const std::function<bool()>& condition);

bool IsTerminalEvent(EventType type);

}  // namespace induct::jobs
