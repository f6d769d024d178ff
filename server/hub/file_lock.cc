#include "server/hub/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/time/time.h"
#include "common/status.h"
#include "server/hub/cache.h"
#include "server/hub/retry.h"

namespace induct::hub {
namespace {

constexpr mode_t kLockMode = 0664;  // for groups that share a cache, as Python makes it
constexpr absl::Duration kPoll = absl::Milliseconds(100);

// Whether the open file still has a name: its holder may have removed it, and then the lock guards nothing.
bool HasName(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 && info.st_nlink > 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path,
                                                            const std::function<void()>& on_wait,
                                                            const std::stop_token& stop) {
  while (true) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kLockMode);
    if (fd < 0) return CacheError(errno, "open", path);
    std::unique_ptr<FileLock> lock(new FileLock(fd));
    const bool is_taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!is_taken && HasName(fd)) return lock;
    if (is_taken) on_wait();
    if (!SleepUnlessStopped(kPoll, stop)) return Stopped();
  }
}

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::AcquireShared(const std::string& path,
                                                                  const std::stop_token& stop) {
  while (true) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nullptr;
    std::unique_ptr<FileLock> lock(new FileLock(fd));
    const bool is_taken = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!is_taken && HasName(fd)) return lock;
    if (!SleepUnlessStopped(kPoll, stop)) return Stopped();
  }
}

std::unique_ptr<FileLock> FileLock::TryAcquire(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kLockMode);
  if (fd < 0) return nullptr;
  std::unique_ptr<FileLock> lock(new FileLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !HasName(fd)) return nullptr;
  return lock;
}

FileLock::~FileLock() { close(fd_); }

}  // namespace induct::hub
