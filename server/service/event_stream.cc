#include "server/service/event_stream.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/status.h"
#include "proto/job_events.h"
#include "server/service/calls.h"
#include "server/service/job_messages.h"
#include "server/service/status_mapping.h"

namespace induct::service {
namespace {

// Read at once; the log gives at least one event, whatever its size.
constexpr size_t kPageBytes = size_t{256} << 10;

}  // namespace

grpc::ServerWriteReactor<v1::JobEvent>* EventStream::Start(BlockingPool& pool, absl::Duration heartbeat,
                                                           metrics::Recorder& recorder, Open open) {
  std::shared_ptr<EventStream> stream(new EventStream(pool, heartbeat, recorder));
  stream->self_ = stream;
  pool.Post([stream, open = std::move(open)] { stream->OpenAndPump(open); });
  return stream.get();
}

void EventStream::OpenAndPump(const Open& open) {
  absl::StatusOr<Opened> opened = WithoutExceptions([&] {
    return open([weak = weak_from_this()] {
      if (const auto stream = weak.lock()) stream->Wake();
    });
  });
  if (!opened.ok()) return End(opened.status());
  opened_ = *std::move(opened);
  SetHeartbeatAlarm();
  Pump();
}

void EventStream::Wake() {
  {
    absl::MutexLock lock(&mutex_);
    woken_ = true;  // whoever pumps or writes now looks at it when done
  }
  Continue();
}

void EventStream::Pump() {
  {
    absl::MutexLock lock(&mutex_);
    woken_ = false;
  }
  absl::StatusOr<std::deque<v1::JobEvent>> events = WithoutExceptions([this] { return ReadNew(); });
  if (!events.ok()) return End(events.status());
  {
    absl::MutexLock lock(&mutex_);
    pumping_ = false;
    for (v1::JobEvent& event : *events) {
      terminal_ |= IsTerminal(event);
      pending_.push_back(std::move(event));
    }
  }
  Continue();
}

absl::StatusOr<std::deque<v1::JobEvent>> EventStream::ReadNew() {
  std::deque<v1::JobEvent> events;
  INDUCT_ASSIGN_OR_RETURN(const std::vector<jobs::StoredEvent> stored, opened_.watch->ReadPage(kPageBytes));
  for (const jobs::StoredEvent& event : stored) {
    attempt_ = event.attempt;
    v1::JobEvent message = ToMessage(event, opened_.job);
    started_attempt_ = message.has_started() ? event.attempt : started_attempt_;
    events.push_back(std::move(message));
  }
  for (const jobs::PassingEvent& event : opened_.watch->TakePassing()) {
    v1::JobEvent message = ToMessage(event, attempt_);
    const bool late = started_attempt_ == attempt_ && (message.has_queued() || message.has_preparing());
    if (!late) events.push_back(std::move(message));
  }
  return events;
}

void EventStream::Continue() {
  switch (NextStep()) {
    case Step::kNone:
      return;
    case Step::kPump:
      return pool_.Post([stream = shared_from_this()] { stream->Pump(); });
    case Step::kWrite:
      return StartWrite(&current_);
    case Step::kEnd:
      return End(absl::OkStatus());
    case Step::kGone:
      return End(absl::CancelledError("the client is gone"));
  }
}

EventStream::Step EventStream::NextStep() {
  absl::MutexLock lock(&mutex_);
  if (over_ || pumping_ || writing_) return Step::kNone;
  if (cancelled_) {
    disconnected_ = !terminal_ || !pending_.empty();
    return Step::kGone;
  }
  if (!pending_.empty()) {
    current_ = std::move(pending_.front());
    pending_.pop_front();
    if (IsTerminal(current_)) pending_.clear();  // passing events that were read with it would come too late
    writing_ = true;
    return Step::kWrite;
  }
  if (terminal_) return Step::kEnd;
  if (!woken_) return Step::kNone;
  pumping_ = true;
  return Step::kPump;
}

void EventStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    last_sent_ = absl::Now();
    if (!ok) cancelled_ = true;
    if (pending_.empty()) woken_ = true;  // pages are bounded: there may be more than was read
  }
  Continue();
}

void EventStream::OnCancel() {
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
  }
  Continue();
}

void EventStream::OnDone() {
  alarm_.Cancel();
  {
    absl::MutexLock lock(&mutex_);
    recorder_.StreamClosed(disconnected_);
  }
  // The watch takes the scheduler's locks when it closes: not on a gRPC thread.
  pool_.Post([stream = std::move(self_)] { stream->opened_.watch.reset(); });
}

void EventStream::SetHeartbeatAlarm() {
  absl::Time next;
  {
    absl::MutexLock lock(&mutex_);
    next = std::max(last_sent_, absl::Now() - heartbeat_) + heartbeat_;
  }
  // gRPC keeps the callback as long as the alarm: one that held the stream would keep it for ever.
  alarm_.Set(absl::ToChronoTime(next), [weak = weak_from_this()](bool ok) {
    const auto stream = ok ? weak.lock() : nullptr;
    if (stream) stream->BeatIfSilent();
  });
}

void EventStream::BeatIfSilent() {
  {
    absl::MutexLock lock(&mutex_);
    if (over_) return;
    if (!writing_ && !pumping_ && absl::Now() - last_sent_ >= heartbeat_) {
      pending_.push_back(HeartbeatMessage(attempt_));
    }
  }
  SetHeartbeatAlarm();
  Continue();
}

void EventStream::End(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(over_, true)) return;
  }
  Finish(ToGrpcStatus(status));
}

}  // namespace induct::service
