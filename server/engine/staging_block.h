// Host memory that stored numbers pass through on their way to a device.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace induct::engine {

// Used again for block after block; for one thread at a time. What it throws is LibTorch's.
class StagingBlock {
 public:
  // Where to put the next bytes; waits until those before are no longer read. Valid until the next call.
  std::span<std::byte> Room(int64_t n_bytes, c10::Device device);

  // Copies what was put into the room, numbers of `stored` in C order, to `target`, which lies on the room's
  // device and may be any view. Does not wait for another device.
  void CopyTo(const at::Tensor& target, c10::ScalarType stored);

 private:
  at::Tensor bytes_;  // pinned where it goes to another device: only such memory can be copied from meanwhile
  std::optional<c10::Event> copied_;
};

}  // namespace induct::engine
