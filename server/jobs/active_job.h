// A job in no terminal state, as the scheduler holds it.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/jobs/alarm.h"
#include "server/jobs/job.h"
#include "server/jobs/job_store.h"
#include "server/jobs/scheduler.h"
#include "server/jobs/watch_list.h"

namespace induct::jobs {

// Why a job's stop token was requested.
enum class StopReason { kNone, kCancelled, kDisconnected, kQueueDeadline, kRunDeadline, kDraining };

// Puts a job whose attempt had begun back into the queue, for a further one. Returns the event that says so.
StoredEvent BackToQueue(JobRecord& record, const std::string& cause);

// UNAVAILABLE (DRAINING): what a watch is told of a job that was put back for a later server.
absl::Status PutBack();

// How an attempt ends. The state kQueued means: put back for a further attempt by a later server.
struct Outcome {
  JobState state = JobState::kFailed;
  std::string payload;  // kSucceeded
  absl::Status error;   // kFailed
};

// The job's record, the writing end of its log, its watches and its stop token: one attempt. What the
// attempt's work may do is its JobContext. It changes state by the table in job.h alone, and writes each
// change to the store.
//
// Safe for concurrent use. Lock order: log_mutex_ (held during store calls), then mutex_ or the watch list's
// lock; the scheduler's lock may be held when mutex_ is taken, never when log_mutex_ is. Only calls marked
// (store) take log_mutex_.
class ActiveJob final : public JobContext {
 public:
  // `store` must outlive the job. Its queue deadline counts from `queued_since`.
  ActiveJob(JobRecord record, absl::Time queued_since, JobStore* store, std::shared_ptr<Alarm> alarm);

  const std::string& job_name() const override { return name_; }
  uint32_t attempt() const override { return attempt_; }
  int device() const override;
  std::stop_token stop() const override { return stop_.get_token(); }
  JobRecord record() const override;
  absl::Status Emit(std::string payload) override;  // (store)
  void Show(int slot, std::string payload) override;
  absl::Status PutArtifact(const std::string& name, const std::string& media_type,
                           std::string bytes) override;  // (store)

  void SetDevice(int device);
  // Changes to a state that is not terminal (store). An error where the store failed or the attempt has
  // ended.
  absl::Status Advance(JobState to);
  // Ends the attempt: stores its last event, tells the watches (store). False where it had ended already.
  // Where the store fails, the job has failed in memory and the store's error is logged.
  bool End(Outcome outcome);

  // Notes why the job is to stop, to be followed by RequestStop: the first reason counts, but a cancellation
  // outranks a drain. False where another reason stays.
  bool SetStopReason(StopReason reason);
  StopReason stop_reason() const;
  // Runs the callbacks that work has registered: no lock may be held.
  void RequestStop() { stop_.request_stop(); }

  // The next moment at which the job has to be stopped, and why.
  struct Deadline {
    absl::Time time = absl::InfiniteFuture();
    StopReason reason = StopReason::kNone;
  };
  Deadline NextDeadline(absl::Duration disconnect_grace) const;

  const std::shared_ptr<WatchList>& watches() const { return watches_; }

 private:
  absl::Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(log_mutex_);
  absl::StatusOr<JobRecord> Changed(JobState to) const;
  void SetRecord(JobRecord record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(log_mutex_);

  const std::string name_;
  const uint32_t attempt_;
  const absl::Time queued_since_;
  JobStore* const store_;
  const std::shared_ptr<WatchList> watches_;
  std::stop_source stop_;

  absl::Mutex log_mutex_;  // one store call at a time, so that the log and the stored record follow the order
                           // in memory
  bool ended_ ABSL_GUARDED_BY(log_mutex_) = false;

  mutable absl::Mutex mutex_ ABSL_ACQUIRED_AFTER(log_mutex_);
  JobRecord record_ ABSL_GUARDED_BY(mutex_);  // changed with log_mutex_ held as well
  int device_ ABSL_GUARDED_BY(mutex_) = 0;
  StopReason stop_reason_ ABSL_GUARDED_BY(mutex_) = StopReason::kNone;
};

}  // namespace induct::jobs
