#include "server/jobs/active_job.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/sha256.h"
#include "common/status.h"

namespace induct::jobs {
namespace {

StoredEvent LastEvent(const JobRecord& record, Outcome outcome) {
  StoredEvent event{
      .attempt = record.attempt, .time = record.finished, .payload = std::move(outcome.payload)};
  event.error = std::move(outcome.error);
  if (outcome.state == JobState::kSucceeded) event.type = EventType::kFinished;
  if (outcome.state == JobState::kFailed) event.type = EventType::kFailed;
  if (outcome.state == JobState::kCancelled) event.type = EventType::kCancelled;
  return event;
}

}  // namespace

StoredEvent BackToQueue(JobRecord& record, const std::string& cause) {
  StoredEvent requeued{.attempt = record.attempt,
                       .time = absl::Now(),
                       .type = EventType::kRequeued,
                       .error = absl::UnavailableError(cause)};
  record.state = JobState::kQueued;
  ++record.attempt;
  record.preparing_since = record.ready_since = record.running_since = absl::InfinitePast();
  return requeued;
}

absl::Status PutBack() {
  return WithReason(
      absl::UnavailableError("the server stops; the job is kept and goes on when the server is back"),
      reason::kDraining);
}

ActiveJob::ActiveJob(JobRecord record, absl::Time queued_since, JobStore* store, std::shared_ptr<Alarm> alarm)
    : name_(record.name),
      attempt_(record.attempt),
      queued_since_(queued_since),
      store_(store),
      watches_(std::make_shared<WatchList>(record.spec.owner, std::move(alarm))),
      record_(std::move(record)) {}

int ActiveJob::device() const {
  absl::MutexLock lock(&mutex_);
  return device_;
}

void ActiveJob::SetDevice(int device) {
  absl::MutexLock lock(&mutex_);
  device_ = device;
}

JobRecord ActiveJob::record() const {
  absl::MutexLock lock(&mutex_);
  return record_;
}

void ActiveJob::Show(int slot, std::string payload) { watches_->Show(slot, std::move(payload)); }

absl::Status ActiveJob::Emit(std::string payload) {
  absl::MutexLock log(&log_mutex_);
  INDUCT_RETURN_IF_ERROR(CheckOpen());
  const StoredEvent event{
      .attempt = attempt_, .time = absl::Now(), .type = EventType::kOutput, .payload = std::move(payload)};
  const absl::StatusOr<uint64_t> stored = store_->Update(record(), &event);
  INDUCT_RETURN_IF_ERROR(Annotate(stored.status(), absl::StrCat(name_, ": an event could not be stored")));
  watches_->Wake();
  return absl::OkStatus();
}

absl::Status ActiveJob::PutArtifact(const std::string& name, const std::string& media_type,
                                    std::string bytes) {
  const ArtifactDescriptor descriptor{
      .name = name, .media_type = media_type, .size = bytes.size(), .sha256 = Sha256Hex(bytes)};
  absl::MutexLock log(&log_mutex_);
  INDUCT_RETURN_IF_ERROR(CheckOpen());
  const absl::StatusOr<uint64_t> stored = store_->PutArtifact(name_, attempt_, descriptor, std::move(bytes));
  INDUCT_RETURN_IF_ERROR(
      Annotate(stored.status(), absl::StrCat(name_, ": artifact ", name, " could not be stored")));
  watches_->Wake();
  return absl::OkStatus();
}

absl::Status ActiveJob::CheckOpen() const {
  if (!ended_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(name_, " has ended; its log takes no more events"));
}

absl::StatusOr<JobRecord> ActiveJob::Changed(JobState to) const {
  JobRecord next = record();
  if (!CanChange(next.state, to)) {
    return absl::InternalError(absl::StrCat(name_, " cannot change from ",
                                            std::string(JobStateName(next.state)), " to ",
                                            std::string(JobStateName(to))));
  }
  next.state = to;
  const absl::Time now = absl::Now();
  if (to == JobState::kPreparing) next.preparing_since = now;
  if (to == JobState::kReady) next.ready_since = now;
  if (to == JobState::kRunning) next.running_since = now;
  if (IsTerminal(to)) next.finished = now;
  return next;
}

void ActiveJob::SetRecord(JobRecord record) {
  absl::MutexLock lock(&mutex_);
  record_ = std::move(record);
}

absl::Status ActiveJob::Advance(JobState to) {
  absl::MutexLock log(&log_mutex_);
  INDUCT_RETURN_IF_ERROR(CheckOpen());
  INDUCT_ASSIGN_OR_RETURN(JobRecord next, Changed(to));
  SetRecord(next);
  const absl::StatusOr<uint64_t> stored = store_->Update(next, nullptr);
  return Annotate(stored.status(), absl::StrCat(name_, ": its state could not be stored"));
}

bool ActiveJob::End(Outcome outcome) {
  absl::MutexLock log(&log_mutex_);
  if (ended_) return false;
  ended_ = true;
  const bool put_back = outcome.state == JobState::kQueued;
  absl::Status why = put_back ? PutBack() : absl::OkStatus();
  if (record().state != outcome.state) {  // else: put back while still queued
    absl::StatusOr<JobRecord> next = Changed(outcome.state);
    absl::Status stored = next.status();
    if (next.ok()) {
      next->error = outcome.error;
      const StoredEvent event =
          put_back ? BackToQueue(*next, "the server stopped") : LastEvent(*next, std::move(outcome));
      stored = store_->Update(*next, &event).status();
    }
    if (!stored.ok()) {
      why = absl::InternalError(absl::StrCat("the job's end could not be stored: ", stored.message()));
      LogJob(LogLevel::kError, name_, std::string(why.message()));
      next = record();
      next->state = JobState::kFailed;
      next->error = why;
    }
    SetRecord(*std::move(next));
  }
  watches_->End(std::move(why));
  return true;
}

bool ActiveJob::SetStopReason(StopReason reason) {
  absl::MutexLock lock(&mutex_);
  const bool outranks = stop_reason_ == StopReason::kDraining && reason == StopReason::kCancelled;
  if (stop_reason_ != StopReason::kNone && !outranks) return false;
  stop_reason_ = reason;
  return true;
}

StopReason ActiveJob::stop_reason() const {
  absl::MutexLock lock(&mutex_);
  return stop_reason_;
}

ActiveJob::Deadline ActiveJob::NextDeadline(absl::Duration disconnect_grace) const {
  const JobRecord job = record();
  Deadline next;
  const auto consider = [&next](absl::Time time, StopReason reason) {
    if (time < next.time) next = {.time = time, .reason = reason};
  };
  if (job.state == JobState::kRunning) {
    consider(job.running_since + job.spec.run_deadline, StopReason::kRunDeadline);
  } else {
    consider(queued_since_ + job.spec.queue_deadline, StopReason::kQueueDeadline);
  }
  if (job.spec.on_disconnect == OnDisconnect::kCancel) {
    consider(watches_->unwatched_since() + disconnect_grace, StopReason::kDisconnected);
  }
  return next;
}

}  // namespace induct::jobs
