#include "tests/jobs/fakes.h"

#include <gtest/gtest.h>

#include <stop_token>
#include <thread>

namespace induct::jobs {
namespace {

class ScriptedWork final : public Work {
 public:
  explicit ScriptedWork(Script script) : script_(std::move(script)) {}
  ~ScriptedWork() override { script_.destroyed(); }
  absl::Status Prepare(JobContext& context) override { return script_.prepare(context); }
  absl::StatusOr<std::string> Run(JobContext& context) override { return script_.run(context); }

 private:
  const Script script_;
};

}  // namespace

WorkFactory Scripts::factory() {
  return [this](const JobRecord& record) -> absl::StatusOr<std::unique_ptr<Work>> {
    absl::MutexLock lock(&mutex_);
    return std::make_unique<ScriptedWork>(scripts_[record.spec.request]);
  };
}

void AwaitStop(const JobContext& context) {
  absl::Notification stopped;
  const std::stop_callback callback(context.stop(), [&stopped] { stopped.Notify(); });
  stopped.WaitForNotification();
}

void FakeStore::SetBlocked(bool blocked) {
  absl::MutexLock lock(&mutex_);
  blocked_ = blocked;
}

bool FakeStore::AwaitBlockedCalls(int n, absl::Duration patience) const {
  const auto blocked = [this, n]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return blocked_calls_ >= n; };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&blocked), patience);
}

void FakeStore::AwaitUnblocked() const {
  absl::MutexLock lock(&mutex_);
  ++blocked_calls_;
  const auto unblocked = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !blocked_; };
  mutex_.Await(absl::Condition(&unblocked));
  --blocked_calls_;
}

absl::Status FakeStore::AwaitWritable() const {
  AwaitUnblocked();
  absl::MutexLock lock(&mutex_);
  return write_status_;
}

absl::StatusOr<std::vector<JobRecord>> FakeStore::ListLive() const {
  AwaitUnblocked();
  return store_->ListLive();
}

absl::Status FakeStore::Create(const JobRecord& record) {
  const absl::Status writable = AwaitWritable();
  return writable.ok() ? store_->Create(record) : writable;
}

absl::StatusOr<uint64_t> FakeStore::Update(const JobRecord& record, const StoredEvent* event) {
  const absl::Status writable = AwaitWritable();
  if (!writable.ok()) return writable;
  return store_->Update(record, event);
}

absl::StatusOr<uint64_t> FakeStore::PutArtifact(const std::string& job, uint32_t attempt,
                                                const ArtifactDescriptor& descriptor, std::string bytes) {
  const absl::Status writable = AwaitWritable();
  if (!writable.ok()) return writable;
  return store_->PutArtifact(job, attempt, descriptor, std::move(bytes));
}

absl::StatusOr<JobRecord> FakeStore::Get(const std::string& job) const {
  AwaitUnblocked();
  return store_->Get(job);
}

absl::StatusOr<std::optional<JobRecord>> FakeStore::FindRequest(const std::string& owner,
                                                                const std::string& request_id) const {
  AwaitUnblocked();
  return store_->FindRequest(owner, request_id);
}

absl::StatusOr<std::vector<JobRecord>> FakeStore::List(const JobFilter& wanted, const std::string& before,
                                                       size_t limit) const {
  AwaitUnblocked();
  return store_->List(wanted, before, limit);
}

absl::StatusOr<std::vector<StoredEvent>> FakeStore::ReadEvents(const std::string& job, uint64_t after,
                                                               size_t max_bytes) const {
  AwaitUnblocked();
  return store_->ReadEvents(job, after, max_bytes);
}

absl::StatusOr<std::string> FakeStore::ReadArtifact(const std::string& job, const std::string& name,
                                                    const std::string& sha256, uint64_t offset,
                                                    size_t limit) const {
  AwaitUnblocked();
  return store_->ReadArtifact(job, name, sha256, offset, limit);
}

absl::Status FakeStore::Delete(const std::string& job) {
  AwaitUnblocked();
  return store_->Delete(job);
}

Reader::Reader(Scheduler& scheduler, const std::string& job, const std::string& watcher, uint64_t after) {
  auto watch = scheduler.OpenWatch(job, watcher, after, [bell = bell_] {
    absl::MutexLock lock(&bell->mutex);
    bell->rung = true;
  });
  EXPECT_TRUE(watch.ok()) << watch.status();
  if (watch.ok()) watch_ = *std::move(watch);
}

bool Reader::AwaitWake() {
  absl::MutexLock lock(&bell_->mutex);
  const bool rung = bell_->mutex.AwaitWithTimeout(absl::Condition(&bell_->rung), kPatience);
  EXPECT_TRUE(rung) << "nothing woke the watch";
  bell_->rung = false;
  return rung;
}

std::vector<StoredEvent> Reader::ReadUntil(const std::function<bool(const std::vector<StoredEvent>&)>& enough,
                                           absl::Status* error) {
  std::vector<StoredEvent> events;
  while (!enough(events)) {
    const auto page = watch_->ReadPage(/*max_bytes=*/64);
    if (!page.ok()) {
      if (error == nullptr) ADD_FAILURE() << page.status();
      if (error != nullptr) *error = page.status();
      return events;
    }
    events.insert(events.end(), page->begin(), page->end());
    if (page->empty() && !AwaitWake()) return events;
  }
  return events;
}

std::vector<StoredEvent> Reader::ReadToEnd(absl::Status* error) {
  return ReadUntil([](const auto& events) { return !events.empty() && IsTerminalEvent(events.back().type); },
                   error);
}

std::vector<StoredEvent> Reader::ReadAtLeast(size_t n) {
  return ReadUntil([n](const auto& events) { return events.size() >= n; }, nullptr);
}

std::optional<PassingEvent> Reader::AwaitPassing(const std::function<bool(const PassingEvent&)>& wanted) {
  while (true) {
    for (PassingEvent& event : watch_->TakePassing()) {
      if (wanted(event)) return std::move(event);
    }
    if (!AwaitWake()) return std::nullopt;
  }
}

JobSpec SpecOf(const std::string& request, const std::string& owner) {
  return {.kind = "test", .owner = owner, .request = request, .accepted = "accepted " + request};
}

std::string MustSubmit(Scheduler& scheduler, JobSpec spec) {
  const auto record = scheduler.Submit(std::move(spec));
  EXPECT_TRUE(record.ok()) << record.status();
  return record.ok() ? record->name : "";
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

bool IsTerminalEvent(EventType type) {
  return type == EventType::kFinished || type == EventType::kFailed || type == EventType::kCancelled;
}

}  // namespace induct::jobs
