// Which job runs on each device, and how long devices have been at work.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace induct::metrics {

// Safe for concurrent use. REQUIRES of every `device`: 0 <= device < n_devices.
class DeviceActivity {
 public:
  explicit DeviceActivity(size_t n_devices) : devices_(n_devices) {}

  // A job of this kind runs from now on, until Stop.
  void Start(int device, const std::string& kind);
  void SetModel(int device, const std::string& model);
  void SetProgress(int device, double fraction);

  // What ran, and for how long. REQUIRES: Start was called.
  struct Stopped {
    std::string kind;
    absl::Duration ran;
  };
  Stopped Stop(int device);

  struct State {
    bool is_running = false;
    std::string kind, model;  // of the job that runs; no model yet where it is empty
    double progress = 0;      // 0 .. 1
    absl::Duration busy;      // since the beginning, up to now
  };
  // By device.
  std::vector<State> Read() const;

 private:
  using Clock = std::chrono::steady_clock;  // the time of day may go back, and what is counted must not

  struct Device {
    State state;  // busy: until the job that runs began
    Clock::time_point since;
  };

  mutable absl::Mutex mutex_;
  std::vector<Device> devices_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace induct::metrics
