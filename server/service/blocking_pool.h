// Threads for everything in the service that may block: the job store, files, tokenisers. gRPC's own threads
// are few (two on a small machine) and must never wait: a handler that does freezes every other call, health
// included.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace induct::service {

// Runs tasks in order of arrival on a fixed number of threads. Safe for concurrent use. The destructor runs
// what was posted before it and joins; tasks must not post to a pool that is being destroyed.
class BlockingPool {
 public:
  explicit BlockingPool(int threads);
  ~BlockingPool();

  // Never blocks.
  void Post(std::function<void()> task);

 private:
  void Work();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace induct::service
