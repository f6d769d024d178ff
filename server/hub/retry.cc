#include "server/hub/retry.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"

namespace induct::hub {
namespace {

constexpr char kRetryAfterUrl[] = "induct/retry_after";
// A name that does not resolve is seldom a matter of patience: it is asked for once more and no longer, and
// not even that where name servers were waited for.
constexpr int kMaxResolutions = 2;
constexpr absl::Duration kQuickResolution = absl::Seconds(4);
constexpr double kMaxJitter = 0.25;

absl::Duration RetryAfterOf(const absl::Status& status) {
  absl::Duration duration = absl::ZeroDuration();
  if (const auto payload = status.GetPayload(kRetryAfterUrl)) {
    absl::ParseDuration(std::string(*payload), &duration);
  }
  return duration;
}

}  // namespace

absl::Status TryAgainError(const std::string& message, absl::Duration retry_after) {
  absl::Status status = absl::UnavailableError(message);
  if (retry_after > absl::ZeroDuration()) {
    status.SetPayload(kRetryAfterUrl, absl::Cord(absl::FormatDuration(retry_after)));
  }
  return status;
}

bool SleepUnlessStopped(absl::Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, absl::ToChronoMilliseconds(duration), [] { return false; });
  return !stop.stop_requested();
}

Retry::Retry(const RetryPolicy& policy, OnWait on_wait, std::stop_token stop)
    : policy_(policy), on_wait_(std::move(on_wait)), stop_(std::move(stop)) {}

absl::Duration Retry::DelayAfter(const absl::Status& failure) {
  absl::Duration delay = policy_.first_delay;
  for (int i = 1; i < n_failures_ && delay < policy_.max_delay; ++i) delay *= 2;
  delay = std::min(delay, policy_.max_delay);
  delay *= 1 - std::uniform_real_distribution<double>(0, kMaxJitter)(jitter_);
  return std::max(delay, std::min(RetryAfterOf(failure), policy_.max_retry_after));
}

absl::Status Retry::WaitAfter(const absl::Status& failure) {
  if (!absl::IsUnavailable(failure)) return failure;
  ++n_failures_;
  const bool was_quick = absl::Now() - attempt_start_ < kQuickResolution;
  if (ReasonOf(failure) == reason::kHubUnreachable && (n_failures_ >= kMaxResolutions || !was_quick)) {
    return WithReason(
        absl::UnavailableError(absl::StrCat("the hub cannot be reached: ", failure.message(),
                                            "; check the server's network, HF_ENDPOINT and HTTPS_PROXY")),
        reason::kHubUnreachable);
  }
  if (n_failures_ >= policy_.max_attempts) {
    const std::string message = absl::StrCat("the hub cannot be used now: ", failure.message(), " (tried ",
                                             n_failures_, n_failures_ == 1 ? " time)" : " times)");
    return WithReason(absl::UnavailableError(message), reason::kHubUnavailable);
  }
  const absl::Duration delay = DelayAfter(failure);
  on_wait_(absl::StrCat("trying again in ", absl::FormatDuration(absl::Ceil(delay, absl::Milliseconds(100))),
                        ": ", failure.message()));
  if (!SleepUnlessStopped(delay, stop_)) return Stopped();
  attempt_start_ = absl::Now();
  return absl::OkStatus();
}

}  // namespace induct::hub
