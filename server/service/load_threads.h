// Threads for loads that clients ask for: one may wait minutes for the hub or for room, longer than the
// pools' other calls can.
#pragma once

#include <functional>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/service/blocking_pool.h"

namespace induct::service {

// Runs at most `most` pieces of work at once and keeps none waiting. Safe for concurrent use. The destructor
// drains, and waits for what runs.
class LoadThreads {
 public:
  explicit LoadThreads(int most) : most_(most), pool_(most) {}
  ~LoadThreads() { Drain(); }

  // Runs `work` on a thread of its own; its token is requested by Drain. RESOURCE_EXHAUSTED (TOO_MANY_LOADS)
  // where `most` run already; UNAVAILABLE (DRAINING) once draining.
  absl::Status Start(std::function<void(std::stop_token)> work);

  // Asks what runs to stop, and starts no more. Does not wait.
  void Drain() { drain_.request_stop(); }

 private:
  const int most_;
  std::stop_source drain_;
  absl::Mutex mutex_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  BlockingPool pool_;  // last: its destructor waits for work that uses the others
};

// UNAVAILABLE (DRAINING).
absl::Status ShuttingDown();

}  // namespace induct::service
