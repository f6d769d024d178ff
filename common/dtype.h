// The number formats that weights are stored in and that a run computes in.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace induct {

enum class DType { kFloat32, kFloat16, kBFloat16 };

// "float32", "float16", "bfloat16".
std::string_view DTypeName(DType dtype);
std::optional<DType> ParseDType(std::string_view name);

// Bytes of one value.
constexpr size_t DTypeBytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

}  // namespace induct
