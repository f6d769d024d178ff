// Reads the golden data: a well-formed safetensors file, whole, without any check that server/checkpoint
// makes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/dtype.h"

namespace induct::engine {

struct StoredTensor {
  DType dtype = DType::kFloat32;  // meaningless where the file says I64
  std::vector<int64_t> shape;
  std::string bytes;

  // The bytes as values of T.
  template <typename T>
  std::vector<T> As() const {
    const T* const first = reinterpret_cast<const T*>(bytes.data());
    return std::vector<T>(first, first + bytes.size() / sizeof(T));
  }
};

using StoredTensors = std::map<std::string, StoredTensor>;

// Throws where the file can't be read or parsed.
StoredTensors ReadSafetensors(const std::string& path);

}  // namespace induct::engine
