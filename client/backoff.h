// When to try again after a connection broke.
#pragma once

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace induct::client {

struct RetryPolicy {
  absl::Duration first_delay = absl::Milliseconds(200);  // doubles from try to try
  absl::Duration longest_delay = absl::Seconds(5);
  absl::Duration patience = absl::Seconds(60);  // without any success; then it is given up
};

// Counts failures in a row. Not safe for concurrent use.
class Backoff {
 public:
  explicit Backoff(const RetryPolicy& policy) : policy_(policy) { Reset(); }

  // After a success.
  void Reset() {
    next_delay_ = policy_.first_delay;
    failing_since_ = absl::InfiniteFuture();
  }

  // After a failure: how long to wait before the next try.
  absl::Duration NextDelay() {
    failing_since_ = std::min(failing_since_, absl::Now());
    return std::exchange(next_delay_, std::min(next_delay_ * 2, policy_.longest_delay));
  }

  // Whether the first failure in a row lies longer back than the policy's patience.
  bool Exhausted() const { return absl::Now() - failing_since_ >= policy_.patience; }
  // Whether this is the first failure in a row.
  bool first() const { return failing_since_ == absl::InfiniteFuture(); }

 private:
  const RetryPolicy policy_;
  absl::Duration next_delay_;
  absl::Time failing_since_;  // InfiniteFuture: not failing
};

}  // namespace induct::client
