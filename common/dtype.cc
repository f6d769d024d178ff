#include "common/dtype.h"

#include <array>
#include <utility>

namespace induct {
namespace {

constexpr std::array<std::pair<DType, std::string_view>, 3> kNames = {
    {{DType::kFloat32, "float32"}, {DType::kFloat16, "float16"}, {DType::kBFloat16, "bfloat16"}}};

}  // namespace

std::string_view DTypeName(DType dtype) {
  for (const auto& [value, name] : kNames) {
    if (value == dtype) return name;
  }
  return "";
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace induct
