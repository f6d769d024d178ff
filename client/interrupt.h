// Ctrl-C and SIGTERM: end what runs on a server before this program ends.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace induct::client {

// What an interrupt does while a Scope is alive.
struct InterruptActions {
  std::function<void()> cancel;  // on the first signal, on a thread of its own; may take seconds
  std::function<void()>
      abandon;  // on the second one, or when `patience` has passed since the first; must not block
};

// Takes SIGINT and SIGTERM on a thread of its own. Without a Scope a signal ends the process with exit code
// 130 at once. With one the first signal asks the job to end and the program ends in good order; a process
// that hangs after that is ended. One object a process, made on the main thread; requested() may be called
// from every thread.
class Interrupt {
 public:
  // Blocks the signals in this thread and all that it starts; call it before there are any.
  static void BlockSignals();

  explicit Interrupt(absl::Duration patience = absl::Seconds(15));
  ~Interrupt();

  bool requested() const { return requested_; }

  // Its actions are in force as long as it lives; at most one at a time. The destructor waits for a running
  // `cancel`.
  class Scope {
   public:
    Scope(Interrupt* interrupt, InterruptActions actions);
    ~Scope();

   private:
    Interrupt* const interrupt_;
  };

 private:
  void Listen();
  void HandleSignal();
  void Abandon();

  const absl::Duration patience_;
  const int signal_fd_;
  const int stop_fd_;  // an eventfd: the destructor wakes the thread
  std::atomic<bool> requested_ = false;
  bool abandoned_ = false;  // used by the thread alone

  absl::Mutex mutex_;
  const InterruptActions* actions_ ABSL_GUARDED_BY(mutex_) = nullptr;
  InterruptActions scope_actions_;  // written by the main thread before actions_ points at it
  std::thread cancel_thread_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace induct::client
