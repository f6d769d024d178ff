#include "server/engine/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/ones.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <malloc.h>
#include <torch/headeronly/version.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status.h"
#include "server/engine/cuda_driver.h"
#include "server/engine/engine.h"
#include "server/engine/host_memory.h"
#include "server/engine/nvml.h"

namespace induct::engine {
namespace {

int CudaDeviceCount() { return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; }

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

void SetThreads(int threads) {
  at::set_num_threads(threads);
  // MKL sets up its exp in the first call. Where several threads make that call at once, its results are off
  // by up to some 1e-4, so one thread makes it here.
  at::ones({1024}).exp();
}

absl::StatusOr<std::string> ResolveDevice(const std::string& name) {
  if (name == "auto") return CudaDeviceCount() > 0 ? "cuda:0" : "cpu";
  INDUCT_ASSIGN_OR_RETURN(const c10::Device device, FindDevice(name));
  return device.str();
}

std::string DeviceDescription(const std::string& device) {
  const absl::StatusOr<c10::Device> found = FindDevice(device);
  if (!found.ok() || !found->is_cuda()) return device;
  const std::optional<CudaDevice> cuda = DescribeCudaDevice(found->index());
  return cuda ? cuda->name : device;
}

int64_t DeviceMemoryBytes(const std::string& device) {
  const absl::StatusOr<c10::Device> found = FindDevice(device);
  if (!found.ok()) return 0;
  if (found->is_cpu()) return ReadHostMemory().total;
  const std::optional<CudaDevice> cuda = DescribeCudaDevice(found->index());
  return cuda ? cuda->memory_bytes : 0;
}

int64_t DeviceMemoryInUse(const std::string& device) {
  const absl::StatusOr<c10::Device> found = FindDevice(device);
  if (!found.ok()) return 0;
  if (found->is_cpu()) return ReadHostMemory().used;
  const std::optional<CudaDevice> cuda = DescribeCudaDevice(found->index());
  return cuda ? GpuBytesInUse(cuda->pci_bus_id) : 0;
}

void ReleaseFreeMemory(const std::string& device) {
  const absl::StatusOr<c10::Device> found = FindDevice(device);
  if (found.ok() && found->is_cuda()) c10::getDeviceAllocator(found->type())->emptyCache();
  malloc_trim(0);  // tensors of a few megabytes come from the heap, and so does what they were read through
}

std::string LibTorchVersion() { return TORCH_VERSION; }

}  // namespace induct::engine
