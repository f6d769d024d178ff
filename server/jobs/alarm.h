// What the scheduler's timer sleeps on.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace induct::jobs {

// Wakes one sleeping thread before its time when a deadline may have come nearer. Safe for concurrent use.
// Shared by the scheduler and the watches, which may outlive it.
class Alarm {
 public:
  // Ends the sleep in progress, or the next one at once.
  void Ring() {
    absl::MutexLock lock(&mutex_);
    rung_ = true;
    changed_.Signal();
  }

  // Sleeps until `time` or until it rings.
  void SleepUntil(absl::Time time) {
    absl::MutexLock lock(&mutex_);
    while (!rung_) {
      if (changed_.WaitWithDeadline(&mutex_, time)) break;
    }
    rung_ = false;
  }

 private:
  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool rung_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace induct::jobs
