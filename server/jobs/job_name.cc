#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/jobs/scheduler.h"

namespace induct::jobs {
namespace {

constexpr char kBase32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford's: no I, L, O, U
constexpr int kTimeDigits = 10;                                 // 48 bits and two zero bits in front
constexpr int kRandomDigits = 16;                               // 80 bits

// Makes the random parts. Within one millisecond each is the one before plus one, so that the names that a
// process makes sort in the order in which they were made. Safe for concurrent use.
class RandomParts {
 public:
  std::array<uint8_t, kRandomDigits> Next(int64_t milliseconds) {
    absl::MutexLock lock(&mutex_);
    if (milliseconds == last_milliseconds_) {
      Increment();
    } else {
      last_milliseconds_ = milliseconds;
      for (uint8_t& digit : digits_) digit = static_cast<uint8_t>(random_() & 31);
    }
    return digits_;
  }

 private:
  void Increment() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (int i = kRandomDigits - 1; i >= 0; --i) {
      digits_[i] = (digits_[i] + 1) & 31;
      if (digits_[i] != 0) return;
    }
  }

  absl::Mutex mutex_;
  std::random_device random_ ABSL_GUARDED_BY(mutex_);
  int64_t last_milliseconds_ ABSL_GUARDED_BY(mutex_) = -1;
  std::array<uint8_t, kRandomDigits> digits_ ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace

std::string NewUlid(absl::Time now) {
  static auto& random_parts =
      *new RandomParts;  // never destroyed: threads may still name jobs while the process exits
  const int64_t milliseconds = absl::ToUnixMillis(now);
  std::string name;
  for (int i = kTimeDigits - 1; i >= 0; --i) name += kBase32[(milliseconds >> (5 * i)) & 31];
  for (uint8_t digit : random_parts.Next(milliseconds)) name += kBase32[digit];
  return name;
}

std::string NewJobName(absl::Time now) { return "jobs/" + NewUlid(now); }

}  // namespace induct::jobs
