// The scheduler's state. scheduler.cc holds what callers do with it, scheduler_threads.cc what its own
// threads do.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/jobs/active_job.h"
#include "server/jobs/alarm.h"
#include "server/jobs/fair_queue.h"
#include "server/jobs/scheduler.h"

namespace induct::jobs {

// Lock order: mutex_, then an ActiveJob's record lock or a watch list's. mutex_ is never held during a call
// of the store, of work, or of a stop callback, so that what gRPC threads may call (counts, QueuePosition)
// never waits for those.
//
// Who takes a job out of queue_ or out of a device's ready list, under mutex_, is the one who goes on with
// it: an attempt has at any time one thread that may advance or end it. (But a drain that is out of patience
// ends the attempt of work that still runs; ActiveJob sees to it that the attempt ends once.)
class SchedulerImpl final : public Scheduler {
 public:
  SchedulerImpl(const SchedulerOptions& options, JobStore* store, WorkFactory factory);
  ~SchedulerImpl() override;

  // Before anything else, once.
  void TakeOver();
  void StartThreads();

  absl::StatusOr<JobRecord> Submit(JobSpec spec) override;
  absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(const std::string& job, const std::string& watcher,
                                                   uint64_t after_sequence,
                                                   std::function<void()> wake) override;
  absl::StatusOr<JobRecord> Cancel(const std::string& job) override;
  std::optional<uint32_t> QueuePosition(const std::string& job) const override;
  Counts counts() const override;
  Waiting waiting() const override;
  bool draining() const override;
  bool Drain(absl::Time deadline) override;

 private:
  using JobPointer = std::shared_ptr<ActiveJob>;
  using RequestKey = std::pair<std::string, std::string>;  // owner, request id

  struct ReadyJob {
    JobPointer job;
    std::unique_ptr<Work> work;
  };
  struct Device {
    std::deque<ReadyJob> ready;  // prepared jobs, the next to run first
    int jobs = 0;                // that were given this device: preparing, ready or running
    bool running = false;        // one of them is running
  };

  // Submit's steps.
  absl::StatusOr<std::optional<JobRecord>> FindSameRequest(const JobSpec& spec) const;
  absl::StatusOr<JobPointer> Reserve(JobSpec spec);
  absl::Status CheckRoom(const JobSpec& spec) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<JobRecord> Accept(const JobPointer& job);
  // Puts a stored job in the queue, or ends it where it was to stop before it got there.
  void Enqueue(const JobPointer& job);

  // Stopping and ending.
  void Stop(const JobPointer& job, StopReason reason);
  Outcome OutcomeOf(const ActiveJob& job, absl::StatusOr<std::string> result) const;
  void End(const JobPointer& job, Outcome outcome);
  std::vector<JobPointer> ActiveJobs() const;
  JobPointer FindActive(const std::string& job) const;
  bool NoneActive() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return active_.empty(); }
  bool AwaitNoneActive(absl::Time deadline) const;
  void RefreshPositions() ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  // A preparing thread's life and its steps.
  void PrepareJobs();
  JobPointer NextToPrepare();
  bool PreparingThreadHasNews() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  size_t LeastLoadedDevice() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::unique_ptr<Work>> Prepare(ActiveJob& job);
  // False where the job was to stop meanwhile; `work` is taken only where true is returned.
  bool HandOver(const JobPointer& job, std::unique_ptr<Work>& work);

  // An executor thread's life and its steps.
  void ExecuteJobs(size_t device);
  std::optional<ReadyJob> NextToRun(size_t device);
  absl::StatusOr<std::string> Run(ActiveJob& job, Work& work);
  void Leave(Device& device, bool was_running) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The timer thread's life. EndOverdueJobs returns when the next deadline is.
  void WatchDeadlines();
  absl::Time EndOverdueJobs();
  bool stopping() const;

  const SchedulerOptions options_;
  JobStore* const store_;
  const WorkFactory factory_;
  const std::shared_ptr<Alarm> alarm_ = std::make_shared<Alarm>();

  mutable absl::Mutex mutex_;
  std::map<std::string, JobPointer> active_
      ABSL_GUARDED_BY(mutex_);               // by name; from before it is stored until its end is
  FairQueue queue_ ABSL_GUARDED_BY(mutex_);  // names of stored jobs that nobody works on
  std::vector<Device> devices_ ABSL_GUARDED_BY(mutex_);
  std::set<RequestKey> submitting_ ABSL_GUARDED_BY(mutex_);  // one Submit of each at a time
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;  // threads end when they have nothing in hand

  std::vector<std::thread> threads_;  // started once, joined by the destructor
};

}  // namespace induct::jobs
