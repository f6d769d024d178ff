#include "server/engine/weight_reader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "common/status.h"
#include "server/engine/device.h"
#include "server/engine/errors.h"

namespace induct::engine {
namespace {

// Of stored numbers at a time. On a CPU small enough that the allocator uses the block again for the next
// layer; elsewhere a block's copy waits for a gap between the operations that compute, so there should not be
// many.
constexpr int64_t kBlockBytesCpu = int64_t{4} << 20;
constexpr int64_t kBlockBytes = int64_t{16} << 20;

int64_t BlockBytes(c10::Device device) { return device.is_cpu() ? kBlockBytesCpu : kBlockBytes; }

bool AnyBias(const std::vector<const LinearTensors*>& parts) {
  return std::any_of(parts.begin(), parts.end(), [](const LinearTensors* part) { return part->bias; });
}

// Leaves `out` as it is where it has this shape, else makes it anew.
void MakeRoom(at::IntArrayRef shape, const at::TensorOptions& options, at::Tensor& out) {
  if (!out.defined() || out.sizes() != shape) out = at::empty(shape, options);
}

}  // namespace

absl::Status WeightReader::Read(const TensorSpec& tensor, at::Tensor& out) {
  MakeRoom(tensor.shape, target_, out);
  return Fill(tensor, out);
}

absl::Status WeightReader::ReadFloat32(const TensorSpec& tensor, at::Tensor& out) {
  MakeRoom(tensor.shape, target_.dtype(at::kFloat), out);
  return Fill(tensor, out);
}

absl::Status WeightReader::ReadRows(const TensorSpec& tensor, int64_t first, at::Tensor& out) {
  std::vector<int64_t> shape = tensor.shape;
  const int64_t row_numbers = CountOf(tensor) / shape[0];
  const int64_t row_bytes = row_numbers * static_cast<int64_t>(target_.dtype().itemsize());
  shape[0] = std::clamp<int64_t>(BlockBytes(target_.device()) / row_bytes, 1, shape[0] - first);
  out = at::empty(shape, target_);
  return Fill(tensor, out, first * row_numbers);
}

absl::Status WeightReader::Read(const NormTensors& tensors, Norm& out) {
  INDUCT_RETURN_IF_ERROR(ReadFloat32(tensors.weight, out.weight));
  if (tensors.bias) return ReadFloat32(*tensors.bias, out.bias);
  out.bias.reset();
  return absl::OkStatus();
}

absl::Status WeightReader::Read(const LinearTensors& tensors, Linear& out) {
  return ReadStacked({&tensors}, out);
}

absl::Status WeightReader::ReadStacked(const std::vector<const LinearTensors*>& parts, Linear& out) {
  return ReadStacked(
      parts, [](const at::Tensor& rows) { return rows; }, out);
}

absl::Status WeightReader::ReadQkv(const LayerTensors& layer, Linear& out) {
  std::vector<const LinearTensors*> parts;
  for (const LinearTensors& part : layer.qkv) parts.push_back(&part);
  if (spec_.qkv_layout != QkvLayout::kFusedByHead) return ReadStacked(parts, out);
  const auto by_head = [&](const at::Tensor& rows) {  // [3 * H * K, ...] as [H, 3, K, ...]
    return rows.unflatten(0, {3, spec_.n_heads, spec_.d_head}).transpose(0, 1);
  };
  return ReadStacked(parts, by_head, out);
}

absl::Status WeightReader::ReadStacked(const std::vector<const LinearTensors*>& parts, RowOrder order,
                                       Linear& out) {
  const bool transposed = spec_.linear_weights_transposed;
  const auto n_rows = [&](const LinearTensors* part) { return part->weight.shape[transposed ? 1 : 0]; };
  int64_t total = 0;
  for (const LinearTensors* const part : parts) total += n_rows(part);
  MakeRoom({total, parts.front()->weight.shape[transposed ? 0 : 1]}, target_, out.weight);
  out.bias = AnyBias(parts) ? at::zeros({total}, target_) : at::Tensor();
  int64_t first = 0;
  for (const LinearTensors* const part : parts) {
    const at::Tensor rows = order(out.weight.narrow(0, first, n_rows(part)));
    INDUCT_RETURN_IF_ERROR(Fill(part->weight, transposed ? rows.movedim(-1, 0) : rows));
    if (part->bias) {
      INDUCT_RETURN_IF_ERROR(Fill(*part->bias, order(out.bias.narrow(0, first, n_rows(part)))));
    }
    first += n_rows(part);
  }
  return absl::OkStatus();
}

absl::Status WeightReader::Fill(const TensorSpec& tensor, const at::Tensor& as_stored, int64_t first_number) {
  INDUCT_ASSIGN_OR_RETURN(const TensorSource::Info info, source_.Describe(tensor.name));
  const int64_t n_slices = as_stored.size(0);
  const auto number_bytes = static_cast<int64_t>(DTypeBytes(info.dtype));
  const int64_t slice_bytes = as_stored.numel() / n_slices * number_bytes;
  const int64_t at_once = std::clamp<int64_t>(BlockBytes(as_stored.device()) / slice_bytes, 1, n_slices);
  for (int64_t first = 0; first < n_slices; first += at_once) {
    if (stop_.stop_requested()) return Stopped();
    const at::Tensor part = as_stored.narrow(0, first, std::min(at_once, n_slices - first));
    const auto offset = static_cast<uint64_t>(first_number * number_bytes + first * slice_bytes);
    INDUCT_RETURN_IF_ERROR(ReadBlock(tensor.name, offset, ToScalarType(info.dtype), part));
  }
  return absl::OkStatus();
}

absl::Status WeightReader::ReadBlock(const std::string& name, uint64_t offset, c10::ScalarType stored,
                                     const at::Tensor& part) {
  const auto n_bytes = static_cast<size_t>(part.numel()) * c10::elementSize(stored);
  if (part.is_cpu() && part.is_contiguous() && part.scalar_type() == stored) {
    return source_.Read(name, offset, {static_cast<std::byte*>(part.mutable_data_ptr()), n_bytes});
  }
  StagingBlock& block = blocks_[next_block_];
  next_block_ = (next_block_ + 1) % (part.is_cpu() ? 1 : blocks_.size());
  const std::span<std::byte> room = block.Room(static_cast<int64_t>(n_bytes), part.device());
  INDUCT_RETURN_IF_ERROR(source_.Read(name, offset, room));
  block.CopyTo(part, stored);
  return absl::OkStatus();
}

}  // namespace induct::engine
