// A lock between processes: flock on a file, as the Python library takes it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

namespace induct::hub {

// Held while it lives, and given up by the kernel when the process ends, however it ends.
class FileLock {
 public:
  // Waits until nobody else, thread or process, holds the lock; `on_wait` is called now and then meanwhile.
  // CANCELLED soon after `stop`; FAILED_PRECONDITION (HUB_CACHE_UNUSABLE) where the file cannot be opened.
  // Where the file system has no locks it is as good as held: they save double work, nothing breaks without
  // them.
  static absl::StatusOr<std::unique_ptr<FileLock>> Acquire(const std::string& path,
                                                           const std::function<void()>& on_wait,
                                                           const std::stop_token& stop);
  // The same on a file that is there, beside others who share the lock. Nullptr where it is not there, or
  // cannot be opened.
  static absl::StatusOr<std::unique_ptr<FileLock>> AcquireShared(const std::string& path,
                                                                 const std::stop_token& stop);
  // Without waiting; nullptr unless it is surely held: also where the file cannot be opened for writing, and
  // where the file system has no locks.
  static std::unique_ptr<FileLock> TryAcquire(const std::string& path);

  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace induct::hub
