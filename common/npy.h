// NumPy's .npy files (format version 1.0, little-endian, C order): what runs write and what --tokens reads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace induct {

// The bytes of a .npy file. The product of `shape` must be values.size().
std::string NpyBytes(std::span<const float> values, std::span<const int64_t> shape);
std::string NpyBytes(std::span<const uint32_t> values, std::span<const int64_t> shape);

// A matrix of whole numbers, row-major: rows * columns values.
struct IntegerMatrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<int64_t> values;
};

// Reads a 2-D array of any integer dtype, in C or Fortran order. INVALID_ARGUMENT for anything else: no .npy,
// truncated, floating-point, another number of dimensions, a size that does not fit the bytes.
absl::StatusOr<IntegerMatrix> ParseIntegerNpy(std::string_view bytes);

// A float32 array of any shape, C order; what the client's figures read back.
struct FloatArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
absl::StatusOr<FloatArray> ParseFloatNpy(std::string_view bytes);

}  // namespace induct
