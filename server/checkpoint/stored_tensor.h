// What the readers of weight files have in common: the list of tensors that a file holds, and where.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/dtype.h"

namespace induct::checkpoint {

static_assert(std::endian::native == std::endian::little, "weight files store little-endian numbers");

// Beyond any model there is, and small enough that a list costs tens of megabytes at the most.
inline constexpr size_t kMaxTensors = size_t{1} << 17;  // in a file, and in all files of a checkpoint
inline constexpr size_t kMaxDimensions = 8;

// A tensor's place in its file, where it lies contiguous and in rows ("C order").
struct StoredTensor {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // from the start of the file
  uint64_t bytes = 0;
  uint32_t file = 0;  // which of the checkpoint's files, see WeightFiles
};

// A tensor that induct cannot compute with: `stored_as` (a constant) says why.
struct UnusableTensor {
  const char* stored_as;
  uint32_t file = 0;
};

// The tensors of one file, or of all. No name is in both.
struct TensorTable {
  std::unordered_map<std::string, StoredTensor> tensors;  // float32, float16 and bfloat16
  // The others: old checkpoints hold masks and counters, which nobody asks for.
  std::unordered_map<std::string, UnusableTensor> unusable;

  size_t size() const { return tensors.size() + unusable.size(); }
  bool Holds(const std::string& name) const { return tensors.contains(name) || unusable.contains(name); }
};

}  // namespace induct::checkpoint
