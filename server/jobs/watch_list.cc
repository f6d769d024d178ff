#include "server/jobs/watch_list.h"

#include <utility>

#include "absl/time/clock.h"

namespace induct::jobs {

WatchList::WatchList(std::string owner, std::shared_ptr<Alarm> alarm)
    : owner_(std::move(owner)), alarm_(std::move(alarm)), unwatched_since_(absl::Now()) {}

WatchList::Subscriber* WatchList::Subscribe(const std::string& watcher, std::function<void()> wake) {
  absl::MutexLock lock(&mutex_);
  Subscriber& subscriber = subscribers_.emplace_back();
  subscriber.watcher_ = watcher;
  subscriber.wake_ = std::move(wake);
  if (watcher == owner_) {
    ++owner_watches_;
    unwatched_since_ = absl::InfiniteFuture();
  }
  if (position_) subscriber.passing_[kQueuedSlot] = {.slot = kQueuedSlot, .queue_position = *position_};
  subscriber.wake_();
  return &subscriber;
}

void WatchList::Unsubscribe(Subscriber* subscriber) {
  {
    absl::MutexLock lock(&mutex_);
    const bool by_owner = subscriber->watcher_ == owner_;
    subscribers_.remove_if([&](const Subscriber& other) { return &other == subscriber; });
    if (!by_owner || --owner_watches_ > 0) return;
    unwatched_since_ = absl::Now();
  }
  alarm_->Ring();
}

std::vector<PassingEvent> WatchList::TakePassing(Subscriber* subscriber) {
  absl::MutexLock lock(&mutex_);
  std::vector<PassingEvent> events;
  for (auto& [slot, event] : subscriber->passing_) events.push_back(std::move(event));
  subscriber->passing_.clear();
  return events;
}

void WatchList::Show(int slot, std::string payload) {
  absl::MutexLock lock(&mutex_);
  ShowAll({.slot = slot, .payload = std::move(payload)});
}

void WatchList::Wake() {
  absl::MutexLock lock(&mutex_);
  for (Subscriber& subscriber : subscribers_) subscriber.wake_();
}

void WatchList::ShowPosition(uint32_t position) {
  absl::MutexLock lock(&mutex_);
  if (position_ == position) return;
  position_ = position;
  ShowAll({.slot = kQueuedSlot, .queue_position = position});
}

void WatchList::LeaveQueue() {
  absl::MutexLock lock(&mutex_);
  position_.reset();
  for (Subscriber& subscriber : subscribers_) subscriber.passing_.erase(kQueuedSlot);
}

std::optional<uint32_t> WatchList::position() const {
  absl::MutexLock lock(&mutex_);
  return position_;
}

void WatchList::End(absl::Status why) {
  absl::MutexLock lock(&mutex_);
  ended_ = std::move(why);
  for (Subscriber& subscriber : subscribers_) subscriber.wake_();
}

std::optional<absl::Status> WatchList::ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

absl::Time WatchList::unwatched_since() const {
  absl::MutexLock lock(&mutex_);
  return unwatched_since_;
}

void WatchList::ShowAll(const PassingEvent& event) {
  for (Subscriber& subscriber : subscribers_) {
    subscriber.passing_[event.slot] = event;
    subscriber.wake_();
  }
}

}  // namespace induct::jobs
