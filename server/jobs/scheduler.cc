#include "server/jobs/scheduler.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/jobs/scheduler_impl.h"

namespace induct::jobs {
namespace {

absl::Status Draining() {
  return WithReason(
      absl::UnavailableError(
          "the server is about to stop and takes no new jobs; retry on another or when it is back"),
      reason::kDraining);
}

// Why the log of a job that lives in the store, but not here, gets no further event.
absl::Status NotRunHere(const std::string& job, bool draining) {
  if (draining) return PutBack();
  return absl::InternalError(absl::StrCat(
      job,
      " does not run: a change of its state could not be stored; the server's log has the storage's error"));
}

}  // namespace

std::unique_ptr<Scheduler> Scheduler::Create(const SchedulerOptions& options, JobStore* store,
                                             WorkFactory factory) {
  auto scheduler = std::make_unique<SchedulerImpl>(options, store, std::move(factory));
  scheduler->TakeOver();
  scheduler->StartThreads();
  return scheduler;
}

SchedulerImpl::SchedulerImpl(const SchedulerOptions& options, JobStore* store, WorkFactory factory)
    : options_(options), store_(store), factory_(std::move(factory)), devices_(options.n_devices) {}

void SchedulerImpl::TakeOver() {
  absl::StatusOr<std::vector<JobRecord>> live = store_->ListLive();
  if (!live.ok()) {
    Log(LogLevel::kError, "server",
        absl::StrCat("unfinished jobs could not be taken over: ", live.status().ToString()));
    return;
  }
  for (JobRecord& record : *live) {
    std::optional<StoredEvent> requeued;
    if (record.state != JobState::kQueued)
      requeued = BackToQueue(record, "the server ended while the job was at work");
    if (const absl::Status stored = store_->Update(record, requeued ? &*requeued : nullptr).status();
        !stored.ok()) {
      LogJob(LogLevel::kError, record.name, absl::StrCat("could not be taken over: ", stored.ToString()));
      continue;
    }
    LogJob(LogLevel::kInfo, record.name, absl::StrCat("taken over, attempt ", record.attempt));
    const auto job = std::make_shared<ActiveJob>(std::move(record), absl::Now(), store_, alarm_);
    absl::MutexLock lock(&mutex_);
    active_[job->job_name()] = job;
    queue_.Push(job->job_name(), job->record().spec.owner, job->record().spec.priority);
    RefreshPositions();
  }
}

absl::StatusOr<JobRecord> SchedulerImpl::Submit(JobSpec spec) {
  if (spec.owner.empty()) return absl::InvalidArgumentError("a job needs an owner");
  if (spec.request_id.empty()) {
    INDUCT_ASSIGN_OR_RETURN(const JobPointer job, Reserve(std::move(spec)));
    return Accept(job);
  }

  const RequestKey key(spec.owner, spec.request_id);
  {
    const auto alone = [this, &key]()
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return submitting_.count(key) == 0; };
    absl::MutexLock lock(&mutex_, absl::Condition(&alone));
    submitting_.insert(key);
  }
  const absl::Cleanup done = [this, &key] {
    absl::MutexLock lock(&mutex_);
    submitting_.erase(key);
  };
  INDUCT_ASSIGN_OR_RETURN(const std::optional<JobRecord> same, FindSameRequest(spec));
  if (same) return *same;
  INDUCT_ASSIGN_OR_RETURN(const JobPointer job, Reserve(std::move(spec)));
  return Accept(job);
}

absl::StatusOr<std::optional<JobRecord>> SchedulerImpl::FindSameRequest(const JobSpec& spec) const {
  INDUCT_ASSIGN_OR_RETURN(std::optional<JobRecord> found, store_->FindRequest(spec.owner, spec.request_id));
  if (found && found->spec.request_sha256 != spec.request_sha256) {
    return WithReason(
        absl::AlreadyExistsError(absl::StrCat("request_id ", spec.request_id, " was used for ", found->name,
                                              " with another request; make a new id for each request")),
        reason::kRequestIdReused);
  }
  return found;
}

absl::StatusOr<SchedulerImpl::JobPointer> SchedulerImpl::Reserve(JobSpec spec) {
  absl::MutexLock lock(&mutex_);
  if (draining_) return Draining();
  INDUCT_RETURN_IF_ERROR(CheckRoom(spec));
  const absl::Time now = absl::Now();
  JobRecord record{.name = NewJobName(now), .spec = std::move(spec), .created = now};
  const auto job = std::make_shared<ActiveJob>(std::move(record), now, store_, alarm_);
  active_[job->job_name()] = job;
  return job;
}

absl::Status SchedulerImpl::CheckRoom(const JobSpec& spec) const {
  const std::string& owner = spec.owner;
  size_t waiting = 0;
  size_t waiting_of_owner = 0;
  size_t bytes = spec.request.size();
  for (const auto& [name, job] : active_) {
    const JobRecord record = job->record();
    bytes += record.spec.request.size();
    if (record.state >= JobState::kRunning) continue;
    ++waiting;
    if (record.spec.owner == owner) ++waiting_of_owner;
  }
  if (waiting_of_owner >= options_.max_queued_per_owner) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(owner, " has ", waiting_of_owner,
                                                  " jobs waiting, which is the limit for one owner; "
                                                  "retry when one of them has started")),
        reason::kQuotaUsed);
  }
  if (waiting >= options_.max_queued) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", waiting,
                                                                " jobs wait; retry when some have started")),
                      reason::kQueueFull);
  }
  if (bytes > options_.max_queued_bytes) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                          "the queue is full: with this one, the requests that wait or run would take ",
                          bytes >> 20, " MiB; retry when some have ended")),
                      reason::kQueueFull);
  }
  return absl::OkStatus();
}

absl::StatusOr<JobRecord> SchedulerImpl::Accept(const JobPointer& job) {
  const JobRecord record = job->record();
  if (const absl::Status stored = store_->Create(record); !stored.ok()) {
    absl::MutexLock lock(&mutex_);
    active_.erase(record.name);
    return Annotate(stored, "the job could not be stored");
  }
  LogJob(LogLevel::kInfo, record.name,
         absl::StrCat("accepted, ", record.spec.kind, " by ", record.spec.owner));
  job->watches()->Wake();
  Enqueue(job);
  return job->record();
}

void SchedulerImpl::Enqueue(const JobPointer& job) {
  bool queued = false;
  {
    absl::MutexLock lock(&mutex_);
    if (draining_) job->SetStopReason(StopReason::kDraining);
    queued = job->stop_reason() == StopReason::kNone;
    if (queued) {
      const JobRecord record = job->record();
      queue_.Push(record.name, record.spec.owner, record.spec.priority);
      RefreshPositions();
    }
  }
  if (!queued) End(job, OutcomeOf(*job, Stopped("before it was queued")));
  alarm_->Ring();
}

absl::StatusOr<std::unique_ptr<Watch>> SchedulerImpl::OpenWatch(const std::string& job,
                                                                const std::string& watcher,
                                                                uint64_t after_sequence,
                                                                std::function<void()> wake) {
  const JobPointer active = FindActive(job);
  INDUCT_ASSIGN_OR_RETURN(const JobRecord record, store_->Get(job));
  if (after_sequence > 0) {
    INDUCT_ASSIGN_OR_RETURN(const std::vector<StoredEvent> seen,
                            store_->ReadEvents(job, after_sequence - 1, 1));
    if (seen.empty()) {
      return absl::OutOfRangeError(absl::StrCat("after_sequence ", after_sequence,
                                                " is beyond the last event of ", job,
                                                "; watch from 0 to read it all"));
    }
  }
  std::shared_ptr<WatchList> list;
  if (active != nullptr) {
    list = active->watches();
  } else {
    list = std::make_shared<WatchList>(record.spec.owner, alarm_);
    list->End(IsTerminal(record.state) ? absl::OkStatus() : NotRunHere(job, draining()));
  }
  return NewLogWatch(store_, job, after_sequence, std::move(list), watcher, std::move(wake));
}

absl::StatusOr<JobRecord> SchedulerImpl::Cancel(const std::string& job) {
  const JobPointer active = FindActive(job);
  if (active == nullptr) return store_->Get(job);
  Stop(active, StopReason::kCancelled);
  return active->record();
}

std::optional<uint32_t> SchedulerImpl::QueuePosition(const std::string& job) const {
  const JobPointer active = FindActive(job);
  return active == nullptr ? std::nullopt : active->watches()->position();
}

Scheduler::Counts SchedulerImpl::counts() const {
  Counts counts;
  for (const JobPointer& job : ActiveJobs()) {
    const JobState state = job->record().state;
    if (state == JobState::kQueued) ++counts.queued;
    if (state == JobState::kPreparing) ++counts.preparing;
    if (state == JobState::kReady) ++counts.ready;
    if (state == JobState::kRunning) ++counts.running;
  }
  return counts;
}

Scheduler::Waiting SchedulerImpl::waiting() const {
  Waiting waiting;
  for (const JobPointer& job : ActiveJobs()) {
    const JobRecord record = job->record();
    if (record.state >= JobState::kRunning) continue;
    ++waiting.jobs;
    waiting.oldest = std::min(waiting.oldest, record.created);
  }
  return waiting;
}

bool SchedulerImpl::draining() const {
  absl::MutexLock lock(&mutex_);
  return draining_;
}

bool SchedulerImpl::Drain(absl::Time deadline) {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
  }
  for (const JobPointer& job : ActiveJobs()) {
    if (job->record().state != JobState::kRunning) Stop(job, StopReason::kDraining);
  }
  if (AwaitNoneActive(deadline)) return true;
  for (const JobPointer& job : ActiveJobs()) Stop(job, StopReason::kDraining);
  if (AwaitNoneActive(absl::Now() + options_.stop_grace)) return true;
  for (const JobPointer& job : ActiveJobs()) {
    LogJob(LogLevel::kWarning, job->job_name(), "its work does not heed its stop token");
    End(job, OutcomeOf(*job, Stopped()));
  }
  return false;
}

}  // namespace induct::jobs
