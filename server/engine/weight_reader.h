// Brings stored tensors to the device and dtype of a run, block by block, in the order that the decoder
// wants.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/engine/engine.h"
#include "server/engine/linear.h"
#include "server/engine/norm.h"
#include "server/engine/staging_block.h"

namespace induct::engine {

// Reads tensors of one source, in turn: each number once, converted on its way, never more than a block of
// them (two on their way to another device) beside what is being filled: the caller's tensor where that has
// the shape, so that a layer can take the memory of another one, else a new one. Every method may throw what
// LibTorch throws; CANCELLED before the next block after a stop request, and errors of the source as they
// are.
class WeightReader {
 public:
  // `target`: device and dtype of weights; norms and position embeddings are float32 there. `spec` and
  // `source` must outlive it.
  WeightReader(const DecoderSpec& spec, const TensorSource& source, const at::TensorOptions& target,
               std::stop_token stop)
      : spec_(spec), source_(source), target_(target), stop_(std::move(stop)) {}

  absl::Status Read(const TensorSpec& tensor, at::Tensor& out);
  absl::Status ReadFloat32(const TensorSpec& tensor, at::Tensor& out);
  // The rows of [n, ...] from `first` on, as many as make up a block, at least one.
  absl::Status ReadRows(const TensorSpec& tensor, int64_t first, at::Tensor& out);
  absl::Status Read(const NormTensors& tensors, Norm& out);
  absl::Status Read(const LinearTensors& tensors, Linear& out);
  // Linear layers of one input as one, their outputs one after another.
  absl::Status ReadStacked(const std::vector<const LinearTensors*>& parts, Linear& out);
  // [(H + 2 G) * K, D]: all queries, all keys, all values, however they are stored.
  absl::Status ReadQkv(const LayerTensors& layer, Linear& out);

 private:
  // Shows the rows of an output, its first dimension, in the order of a checkpoint; a view.
  using RowOrder = absl::FunctionRef<at::Tensor(const at::Tensor& rows)>;

  absl::Status ReadStacked(const std::vector<const LinearTensors*>& parts, RowOrder order, Linear& out);
  // Copies the stored numbers, from `first_number` on, into a view that has their order.
  absl::Status Fill(const TensorSpec& tensor, const at::Tensor& as_stored, int64_t first_number = 0);
  // Reads numbers of `stored` from a byte of the tensor on: where they go, or through host memory where they
  // change on their way.
  absl::Status ReadBlock(const std::string& name, uint64_t offset, c10::ScalarType stored,
                         const at::Tensor& part);

  const DecoderSpec& spec_;
  const TensorSource& source_;
  const at::TensorOptions target_;
  const std::stop_token stop_;
  std::array<StagingBlock, 2> blocks_;  // in turn: one is read into while the other one is copied from
  size_t next_block_ = 0;
};

}  // namespace induct::engine
