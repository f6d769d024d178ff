#include "server/service/load_threads.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::service {

absl::Status ShuttingDown() {
  return WithReason(absl::UnavailableError("the server is shutting down"), reason::kDraining);
}

absl::Status LoadThreads::Start(std::function<void(std::stop_token)> work) {
  if (drain_.stop_requested()) return ShuttingDown();
  {
    absl::MutexLock lock(&mutex_);
    if (running_ == most_) {
      return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                            "the server does ", most_, " loads at once and is busy with as many; try again")),
                        reason::kTooManyLoads);
    }
    ++running_;
  }
  pool_.Post([this, work = std::move(work)] {
    work(drain_.get_token());
    absl::MutexLock lock(&mutex_);
    --running_;
  });
  return absl::OkStatus();
}

}  // namespace induct::service
