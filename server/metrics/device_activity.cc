#include "server/metrics/device_activity.h"

namespace induct::metrics {

void DeviceActivity::Start(int device, const std::string& kind) {
  const absl::MutexLock lock(&mutex_);
  Device& started = devices_[device];
  started.state = {.is_running = true, .kind = kind, .busy = started.state.busy};
  started.since = Clock::now();
}

void DeviceActivity::SetModel(int device, const std::string& model) {
  const absl::MutexLock lock(&mutex_);
  devices_[device].state.model = model;
}

void DeviceActivity::SetProgress(int device, double fraction) {
  const absl::MutexLock lock(&mutex_);
  devices_[device].state.progress = fraction;
}

DeviceActivity::Stopped DeviceActivity::Stop(int device) {
  const absl::MutexLock lock(&mutex_);
  Device& stopped = devices_[device];
  const Stopped result{.kind = stopped.state.kind, .ran = absl::FromChrono(Clock::now() - stopped.since)};
  stopped.state = {.busy = stopped.state.busy + result.ran};
  return result;
}

std::vector<DeviceActivity::State> DeviceActivity::Read() const {
  std::vector<State> states;
  const absl::MutexLock lock(&mutex_);
  const Clock::time_point now = Clock::now();
  for (const Device& device : devices_) {
    states.push_back(device.state);
    if (device.state.is_running) states.back().busy += absl::FromChrono(now - device.since);
  }
  return states;
}

}  // namespace induct::metrics
