#include "server/engine/staging_block.h"

#include <ATen/ops/empty.h>

#include "server/engine/device_wait.h"

namespace induct::engine {

std::span<std::byte> StagingBlock::Room(int64_t n_bytes, c10::Device device) {
  if (copied_) copied_->synchronize();
  copied_.reset();
  if (!bytes_.defined() || bytes_.numel() < n_bytes) {
    bytes_ = at::empty({n_bytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(!device.is_cpu()));
  }
  return {static_cast<std::byte*>(bytes_.mutable_data_ptr()), static_cast<size_t>(n_bytes)};
}

void StagingBlock::CopyTo(const at::Tensor& target, c10::ScalarType stored) {
  const int64_t n_bytes = target.numel() * static_cast<int64_t>(c10::elementSize(stored));
  const at::Tensor numbers = bytes_.narrow(0, 0, n_bytes).view(stored).view(target.sizes());
  if (stored == target.scalar_type() && target.is_contiguous()) {
    target.copy_(numbers, /*non_blocking=*/true);
  } else {  // first to the device: converting and reordering are its work
    target.copy_(numbers.to(target.device(), /*non_blocking=*/true));
  }
  copied_ = EventNow(target.device());
}

}  // namespace induct::engine
