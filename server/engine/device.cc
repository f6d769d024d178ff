#include "server/engine/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include <array>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status.h"
#include "server/engine/engine.h"

namespace induct::engine {
namespace {

int CudaDeviceCount() { return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; }

// The GPU's own name, from the driver: LibTorch has it only in headers that need the CUDA toolkit.
std::optional<std::string> CudaDeviceName(int index) {
  using Init = int (*)(unsigned);
  using DeviceGet = int (*)(int*, int);
  using DeviceGetName = int (*)(char*, int, int);
  void* driver =
      dlopen("libcuda.so.1", RTLD_LAZY);  // stays loaded: LibTorch uses it as long as the process lives
  if (driver == nullptr) return std::nullopt;
  const auto init = reinterpret_cast<Init>(dlsym(driver, "cuInit"));
  const auto device_get = reinterpret_cast<DeviceGet>(dlsym(driver, "cuDeviceGet"));
  const auto device_get_name = reinterpret_cast<DeviceGetName>(dlsym(driver, "cuDeviceGetName"));
  if (init == nullptr || device_get == nullptr || device_get_name == nullptr) return std::nullopt;

  int device = 0;
  std::array<char, 256> name{};
  if (init(0) != 0 || device_get(&device, index) != 0) return std::nullopt;
  if (device_get_name(name.data(), name.size(), device) != 0) return std::nullopt;
  return std::string(name.data());
}

}  // namespace

absl::StatusOr<c10::Device> FindDevice(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  absl::string_view rest = name;
  int index = 0;
  const bool is_cuda = absl::ConsumePrefix(&rest, "cuda") &&
                       (rest.empty() || (absl::ConsumePrefix(&rest, ":") && absl::SimpleAtoi(rest, &index)));
  if (!is_cuda || index < 0) {
    return InvalidField("device", absl::StrCat("'", name, "' is no device: use auto, cpu, cuda or cuda:N"));
  }
  if (index >= CudaDeviceCount()) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat("device '", name, "' is not there: this server sees ",
                                                   CudaDeviceCount(), " CUDA devices; use auto or cpu")),
        reason::kInvalidField, "device");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

c10::ScalarType ToScalarType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return c10::kFloat;
    case DType::kFloat16:
      return c10::kHalf;
    case DType::kBFloat16:
      return c10::kBFloat16;
  }
  return c10::kFloat;
}

void SetThreads(int threads) { at::set_num_threads(threads); }

absl::StatusOr<std::string> ResolveDevice(const std::string& name) {
  if (name == "auto") return CudaDeviceCount() > 0 ? "cuda" : "cpu";
  INDUCT_RETURN_IF_ERROR(FindDevice(name).status());
  return name;
}

std::string DeviceDescription(const std::string& device) {
  const absl::StatusOr<c10::Device> found = FindDevice(device);
  if (!found.ok() || !found->is_cuda()) return device;
  return CudaDeviceName(found->index()).value_or(device);
}

std::string LibTorchVersion() { return TORCH_VERSION; }

}  // namespace induct::engine
