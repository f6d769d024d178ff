// From the words that settings and options use to LibTorch's devices and number formats.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

#include "absl/status/statusor.h"
#include "common/dtype.h"

namespace induct::engine {

// The device of a name that ResolveDevice accepts, "auto" excepted. The same errors.
absl::StatusOr<c10::Device> FindDevice(const std::string& name);

c10::ScalarType ToScalarType(DType dtype);

}  // namespace induct::engine
