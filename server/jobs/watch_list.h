// Who watches a job, and what they have not read yet of what passes.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/jobs/alarm.h"
#include "server/jobs/scheduler.h"

namespace induct::jobs {

// The open watches of one job. Holds no durable event: those are in the store, and each watch reads them at
// its own pace.
//
// Safe for concurrent use; no call blocks but for the short lock, which is the last one of every lock order.
// Owned jointly by the job and by its watches.
class WatchList {
 public:
  class Subscriber;

  // `alarm` rings when the last watch by `owner` closes, as the disconnect grace begins then.
  WatchList(std::string owner, std::shared_ptr<Alarm> alarm);

  // Opens and closes a watch. `wake` is called at once, and never after Unsubscribe returned.
  Subscriber* Subscribe(const std::string& watcher, std::function<void()> wake);
  void Unsubscribe(Subscriber* subscriber);
  // Passing events since the last call, the newest of each slot, by rising slot.
  std::vector<PassingEvent> TakePassing(Subscriber* subscriber);

  void Show(int slot, std::string payload);
  // Says that there is a durable event to read.
  void Wake();

  // The job's place in the queue: shown to each watch that opens, and to all when it changes.
  void ShowPosition(uint32_t position);
  void LeaveQueue();
  std::optional<uint32_t> position() const;

  // No durable event will follow those that are stored; `why` is OK where the last one is terminal.
  void End(absl::Status why);
  std::optional<absl::Status> ended() const;

  // Since when no watch by the owner is open; InfiniteFuture while there is one.
  absl::Time unwatched_since() const;

 private:
  void ShowAll(const PassingEvent& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string owner_;
  const std::shared_ptr<Alarm> alarm_;

  mutable absl::Mutex mutex_;
  std::list<Subscriber> subscribers_ ABSL_GUARDED_BY(mutex_);
  size_t owner_watches_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time unwatched_since_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint32_t> position_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
};

// One open watch; guarded by its list's lock.
class WatchList::Subscriber {
 private:
  friend class WatchList;
  std::string watcher_;
  std::function<void()> wake_;
  std::map<int, PassingEvent> passing_;  // by slot
};

// A watch of the job `job` that has read its log up to `after_sequence`. `store` must outlive it.
std::unique_ptr<Watch> NewLogWatch(JobStore* store, std::string job, uint64_t after_sequence,
                                   std::shared_ptr<WatchList> list, const std::string& watcher,
                                   std::function<void()> wake);

}  // namespace induct::jobs
