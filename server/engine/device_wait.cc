#include "server/engine/device_wait.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace induct::engine {

std::optional<c10::Event> EventNow(c10::Device device) {
  if (device.is_cpu()) return std::nullopt;
  std::optional<c10::Event> event(device.type());
  event->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return event;
}

at::Tensor ToHost(const at::Tensor& tensor) {
  at::Tensor on_host = tensor.to(at::kCPU, /*non_blocking=*/true);  // pinned
  if (const auto copied = EventNow(tensor.device())) copied->synchronize();
  return on_host;
}

}  // namespace induct::engine
