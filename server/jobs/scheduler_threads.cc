#include <algorithm>
#include <exception>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/jobs/scheduler_impl.h"

namespace induct::jobs {
namespace {

// Calls opaque work. No exception should leave a room; one that does must not end the process.
template <typename Call>
auto WithoutExceptions(const char* stage, Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the job's ", stage, " threw an exception: ", error.what()));
  } catch (...) {
    return absl::InternalError(absl::StrCat("the job's ", stage, " threw an exception of unknown type"));
  }
}

std::string Seconds(absl::Time from, absl::Time to) {
  return absl::StrFormat("%.3f s", absl::ToDoubleSeconds(to - from));
}

std::string Summary(const JobRecord& record) {
  std::string text(JobStateName(record.state));
  const absl::Time now = absl::Now();
  if (record.running_since != absl::InfinitePast()) {
    absl::StrAppend(&text, " after running ", Seconds(record.running_since, now));
  } else {
    absl::StrAppend(&text, " after waiting ", Seconds(record.created, now));
  }
  if (!record.error.ok()) absl::StrAppend(&text, ": ", record.error.ToString());
  return text;
}

absl::Status DeadlinePassed(const char* what, absl::Duration deadline) {
  return WithReason(absl::DeadlineExceededError(absl::StrCat("the job's deadline for ", what, ", ",
                                                             absl::FormatDuration(deadline), ", has passed")),
                    reason::kDeadline);
}

}  // namespace

void SchedulerImpl::StartThreads() {
  for (int i = 0; i < options_.preparing_threads; ++i) threads_.emplace_back([this] { PrepareJobs(); });
  for (int device = 0; device < options_.n_devices; ++device) {
    threads_.emplace_back([this, device] { ExecuteJobs(device); });
  }
  threads_.emplace_back([this] { WatchDeadlines(); });
}

SchedulerImpl::~SchedulerImpl() {
  Drain(absl::Now());
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  alarm_->Ring();
  for (std::thread& thread : threads_) thread.join();
}

void SchedulerImpl::PrepareJobs() {
  while (const JobPointer job = NextToPrepare()) {
    absl::StatusOr<std::unique_ptr<Work>> work = Prepare(*job);
    if (work.ok() && HandOver(job, *work)) continue;
    const absl::Status status = work.ok() ? Stopped() : work.status();
    work = Stopped();  // destroys the work
    End(job, OutcomeOf(*job, status));
    absl::MutexLock lock(&mutex_);
    Leave(devices_[job->device()], /*was_running=*/false);
  }
}

bool SchedulerImpl::PreparingThreadHasNews() const {
  return stopping_ || (!queue_.empty() && devices_[LeastLoadedDevice()].jobs <= options_.ready_per_device);
}

size_t SchedulerImpl::LeastLoadedDevice() const {
  const auto least = std::min_element(devices_.begin(), devices_.end(),
                                      [](const Device& a, const Device& b) { return a.jobs < b.jobs; });
  return least - devices_.begin();
}

SchedulerImpl::JobPointer SchedulerImpl::NextToPrepare() {
  absl::MutexLock lock(&mutex_, absl::Condition(this, &SchedulerImpl::PreparingThreadHasNews));
  if (stopping_) return nullptr;
  const size_t device = LeastLoadedDevice();
  JobPointer job = active_.at(*queue_.Pop());
  ++devices_[device].jobs;
  job->SetDevice(static_cast<int>(device));
  job->watches()->LeaveQueue();
  RefreshPositions();
  return job;
}

absl::StatusOr<std::unique_ptr<Work>> SchedulerImpl::Prepare(ActiveJob& job) {
  if (job.stop().stop_requested()) return Stopped();
  INDUCT_RETURN_IF_ERROR(job.Advance(JobState::kPreparing));
  const WorkingForJob working(job.job_name());
  const JobRecord record = job.record();
  LogJob(LogLevel::kInfo, record.name,
         absl::StrCat("preparing for device ", job.device(), " after waiting ",
                      Seconds(record.created, record.preparing_since)));
  INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<Work> work,
                          WithoutExceptions("factory", [&] { return factory_(record); }));
  if (work == nullptr)
    return absl::InternalError(absl::StrCat("no work was made for a job of kind ", record.spec.kind));
  INDUCT_RETURN_IF_ERROR(WithoutExceptions("preparation", [&] { return work->Prepare(job); }));
  if (job.stop().stop_requested()) return Stopped();
  INDUCT_RETURN_IF_ERROR(job.Advance(JobState::kReady));
  return work;
}

bool SchedulerImpl::HandOver(const JobPointer& job, std::unique_ptr<Work>& work) {
  absl::MutexLock lock(&mutex_);
  if (job->stop_reason() != StopReason::kNone) return false;
  devices_[job->device()].ready.push_back({.job = job, .work = std::move(work)});
  return true;
}

void SchedulerImpl::ExecuteJobs(size_t device) {
  while (std::optional<ReadyJob> next = NextToRun(device)) {
    absl::StatusOr<std::string> result = Run(*next->job, *next->work);
    next->work.reset();
    End(next->job, OutcomeOf(*next->job, std::move(result)));
    absl::MutexLock lock(&mutex_);
    Leave(devices_[device], /*was_running=*/true);
  }
}

std::optional<SchedulerImpl::ReadyJob> SchedulerImpl::NextToRun(size_t device) {
  const auto has_news = [this, device]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !devices_[device].ready.empty();
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&has_news));
  Device& own = devices_[device];
  if (own.ready.empty()) return std::nullopt;
  ReadyJob next = std::move(own.ready.front());
  own.ready.pop_front();
  own.running = true;
  RefreshPositions();
  return next;
}

absl::StatusOr<std::string> SchedulerImpl::Run(ActiveJob& job, Work& work) {
  if (job.stop().stop_requested()) return Stopped();
  INDUCT_RETURN_IF_ERROR(job.Advance(JobState::kRunning));
  const WorkingForJob working(job.job_name());
  alarm_->Ring();
  const JobRecord record = job.record();
  LogJob(LogLevel::kInfo, record.name,
         absl::StrCat("started on device ", job.device(), ", attempt ", record.attempt, ", after preparing ",
                      Seconds(record.preparing_since, record.running_since)));
  options_.recorder->JobStarted(
      job.device(), record.spec.kind,
      record.preparing_since - record.created + (record.running_since - record.ready_since),
      record.ready_since - record.preparing_since);
  const absl::Cleanup stopped = [&] { options_.recorder->JobStopped(job.device()); };
  return WithoutExceptions("run", [&] { return work.Run(job); });
}

void SchedulerImpl::Leave(Device& device, bool was_running) {
  --device.jobs;
  if (was_running) device.running = false;
  RefreshPositions();
}

void SchedulerImpl::RefreshPositions() {
  uint32_t position = 0;  // what is prepared or being prepared starts before all that is queued
  for (const Device& device : devices_) position += device.jobs - (device.running ? 1 : 0);
  for (const std::string& job : queue_.Order()) active_.at(job)->watches()->ShowPosition(position++);
}

void SchedulerImpl::Stop(const JobPointer& job, StopReason reason) {
  bool waiting = false;
  std::unique_ptr<Work> work;
  {
    absl::MutexLock lock(&mutex_);
    if (!job->SetStopReason(reason)) return;
    waiting = queue_.Remove(job->job_name());
    std::deque<ReadyJob>& ready = devices_[job->device()].ready;
    const auto found =
        std::find_if(ready.begin(), ready.end(), [&](const ReadyJob& r) { return r.job == job; });
    if (found != ready.end()) {
      waiting = true;
      work = std::move(found->work);
      ready.erase(found);
      Leave(devices_[job->device()], /*was_running=*/false);
    }
    job->watches()->LeaveQueue();
    RefreshPositions();
  }
  job->RequestStop();
  if (!waiting) return;
  work.reset();
  End(job, OutcomeOf(*job, Stopped()));
}

Outcome SchedulerImpl::OutcomeOf(const ActiveJob& job, absl::StatusOr<std::string> result) const {
  if (result.ok()) return {.state = JobState::kSucceeded, .payload = *std::move(result)};
  const JobSpec spec = job.record().spec;
  switch (job.stop_reason()) {
    case StopReason::kNone:
      return {.state = JobState::kFailed, .error = result.status()};
    case StopReason::kCancelled:
    case StopReason::kDisconnected:
      return {.state = JobState::kCancelled};
    case StopReason::kQueueDeadline:
      return {.state = JobState::kFailed, .error = DeadlinePassed("queueing", spec.queue_deadline)};
    case StopReason::kRunDeadline:
      return {.state = JobState::kFailed, .error = DeadlinePassed("running", spec.run_deadline)};
    case StopReason::kDraining:
      break;
  }
  if (store_->durable()) return {.state = JobState::kQueued};
  return {.state = JobState::kFailed,
          .error = WithReason(
              absl::UnavailableError("the server stopped before the job had ended; submit it again"),
              reason::kDraining)};
}

void SchedulerImpl::End(const JobPointer& job, Outcome outcome) {
  if (!job->End(std::move(outcome))) return;
  const JobRecord record = job->record();
  LogJob(LogLevel::kInfo, record.name, Summary(record));
  if (IsTerminal(record.state))
    options_.recorder->JobEnded(record.spec.kind, JobStateName(record.state), record.error);
  absl::MutexLock lock(&mutex_);
  active_.erase(job->job_name());
}

std::vector<SchedulerImpl::JobPointer> SchedulerImpl::ActiveJobs() const {
  absl::MutexLock lock(&mutex_);
  std::vector<JobPointer> jobs;
  for (const auto& [name, job] : active_) jobs.push_back(job);
  return jobs;
}

SchedulerImpl::JobPointer SchedulerImpl::FindActive(const std::string& job) const {
  absl::MutexLock lock(&mutex_);
  const auto found = active_.find(job);
  return found == active_.end() ? nullptr : found->second;
}

bool SchedulerImpl::AwaitNoneActive(absl::Time deadline) const {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(this, &SchedulerImpl::NoneActive), deadline);
}

void SchedulerImpl::WatchDeadlines() {
  while (!stopping()) alarm_->SleepUntil(EndOverdueJobs());
}

absl::Time SchedulerImpl::EndOverdueJobs() {
  const absl::Time now = absl::Now();
  absl::Time next = absl::InfiniteFuture();
  for (const JobPointer& job : ActiveJobs()) {
    if (job->stop_reason() != StopReason::kNone) continue;
    const ActiveJob::Deadline deadline = job->NextDeadline(options_.disconnect_grace);
    if (deadline.time <= now) {
      Stop(job, deadline.reason);
    } else {
      next = std::min(next, deadline.time);
    }
  }
  return next;
}

bool SchedulerImpl::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

}  // namespace induct::jobs
