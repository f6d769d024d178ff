// The pickle with which torch.save describes a dictionary of tensors, read by a machine that knows tensors
// only and runs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/dtype.h"

namespace induct::checkpoint {

// A kind of numbers in a storage.
struct StorageType {
  const char* name;            // PyTorch's for the dtype, for example "float32"
  uint64_t bytes;              // of one number
  std::optional<DType> dtype;  // set where induct computes with it
};

// A tensor as the pickle describes it: contiguous numbers of a storage. Offsets and counts are in numbers,
// unchecked against the storage's real size. Texts are views into the pickle.
struct PickledTensor {
  std::string_view name;
  std::string_view storage;  // its key: the numbers are the archive's entry data/<key>
  const StorageType* type = nullptr;
  uint64_t storage_numbers = 0;  // that the storage claims to hold
  uint64_t offset = 0;
  std::vector<int64_t> shape;
  uint64_t numbers = 0;  // of the shape
};

// What the machine may hold: some 30 values make a tensor, and all of them together cost less than 30 MB.
inline constexpr size_t kMaxPickleValues = size_t{1} << 19;

// The tensors of the dictionary that `text` holds, in its order; errors call it `what`. FAILED_PRECONDITION:
// UNSUPPORTED_MODEL naming the global, opcode or entry for anything but a plain or ordered dictionary of
// contiguous tensors written in pickle protocol 2 (dictionaries nested in it included), and for more than
// kMaxPickleValues; BAD_CHECKPOINT for what is broken.
absl::StatusOr<std::vector<PickledTensor>> ParseTensorPickle(std::string_view text, const std::string& what);

}  // namespace induct::checkpoint
