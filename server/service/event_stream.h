// One stream of one job's events to one client, whether it submitted the job or re-attached to it.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "induct/v1/job.pb.h"
#include "server/jobs/scheduler.h"
#include "server/metrics/recorder.h"
#include "server/service/blocking_pool.h"

namespace induct::service {

// Reads the event log in bounded pages on the pool, and only when the page before has been sent: a slow
// reader holds one page, and never the device. At any moment the stream is pumping (a pool task reads),
// writing (gRPC sends one event), idle, or over. Safe for concurrent use. Lives until gRPC is done with it
// and no task of the pool or alarm holds it.
class EventStream : public grpc::ServerWriteReactor<v1::JobEvent>,
                    public std::enable_shared_from_this<EventStream> {
 public:
  struct Opened {
    std::string job;  // its name
    std::unique_ptr<jobs::Watch> watch;
  };
  // Opens the job's watch, on the pool; may submit the job first. `wake` is for Scheduler::OpenWatch.
  using Open = std::function<absl::StatusOr<Opened>(std::function<void()> wake)>;

  // Starts a stream that opens itself on the pool and sends a heartbeat after each `heartbeat` of silence.
  // Pool and recorder must outlive it.
  static grpc::ServerWriteReactor<v1::JobEvent>* Start(BlockingPool& pool, absl::Duration heartbeat,
                                                       metrics::Recorder& recorder, Open open);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  EventStream(BlockingPool& pool, absl::Duration heartbeat, metrics::Recorder& recorder)
      : pool_(pool), heartbeat_(heartbeat), recorder_(recorder) {
    recorder_.StreamOpened();
  }

  void OpenAndPump(const Open& open);
  // Something may be new: makes sure that a pump begins after now.
  void Wake();
  void Pump();
  // What is new since the last call, durable events before passing ones; empty: nothing.
  absl::StatusOr<std::deque<v1::JobEvent>> ReadNew();
  void SetHeartbeatAlarm();
  void BeatIfSilent();

  // Takes the next step if the stream neither pumps nor writes. Called after every change, without the lock:
  // gRPC may answer a write from another thread before StartWrite returns.
  void Continue();
  enum class Step { kNone, kPump, kWrite, kEnd, kGone };
  Step NextStep();
  // Ends the call, once.
  void End(const absl::Status& status);

  BlockingPool& pool_;
  const absl::Duration heartbeat_;
  metrics::Recorder& recorder_;
  std::shared_ptr<EventStream> self_;  // held while gRPC may call this object

  // Touched by pool tasks only, of which there is one at a time.
  Opened opened_;
  uint32_t started_attempt_ = 0;  // the last attempt whose started event was read

  v1::JobEvent current_;  // being written
  grpc::Alarm alarm_;

  std::atomic<uint32_t> attempt_ = 1;  // of the last durable event read

  absl::Mutex mutex_;
  std::deque<v1::JobEvent> pending_ ABSL_GUARDED_BY(mutex_);
  bool pumping_ ABSL_GUARDED_BY(mutex_) = true;  // opening counts
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;         // since the current pump began to read
  bool terminal_ ABSL_GUARDED_BY(mutex_) = false;      // the terminal event has been read
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;     // the client is gone
  bool disconnected_ ABSL_GUARDED_BY(mutex_) = false;  // it was so before its last event
  bool over_ ABSL_GUARDED_BY(mutex_) = false;          // Finish was called
  absl::Time last_sent_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace induct::service
