// Trying again, with patience that ends.
#pragma once

#include <functional>
#include <random>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/hub/hub_options.h"

namespace induct::hub {

// UNAVAILABLE: worth another attempt, not before `retry_after` where the server named one (0: it did not).
absl::Status TryAgainError(const std::string& message, absl::Duration retry_after = absl::ZeroDuration());

// Returns after `duration`, or at once where `stop` comes before: then false.
bool SleepUnlessStopped(absl::Duration duration, const std::stop_token& stop);

// The attempts at one thing.
class Retry {
 public:
  // `on_wait` is told why and how long, before every wait.
  using OnWait = std::function<void(const std::string& note)>;
  Retry(const RetryPolicy& policy, OnWait on_wait, std::stop_token stop);

  // Returns OK when it is time for the next attempt. Else the error to give up with: `failure` itself where
  // it is not UNAVAILABLE; with reason HUB_UNREACHABLE where the host's name did not resolve twice, or once
  // after seconds; with HUB_UNAVAILABLE where the attempts are used up; CANCELLED.
  absl::Status WaitAfter(const absl::Status& failure);

  // The latest attempt got somewhere: the count begins anew.
  void Progressed() { n_failures_ = 0; }

 private:
  absl::Duration DelayAfter(const absl::Status& failure);

  const RetryPolicy policy_;
  const OnWait on_wait_;
  const std::stop_token stop_;
  int n_failures_ = 0;
  absl::Time attempt_start_ = absl::Now();
  std::minstd_rand jitter_{std::random_device{}()};
};

// What `attempt`, which returns a StatusOr, makes of as many attempts as the policy allows.
template <typename Attempt>
auto Retried(Retry retry, const Attempt& attempt) -> decltype(attempt()) {
  while (true) {
    auto result = attempt();
    if (result.ok()) return result;
    if (absl::Status error = retry.WaitAfter(result.status()); !error.ok()) return error;
  }
}

}  // namespace induct::hub
