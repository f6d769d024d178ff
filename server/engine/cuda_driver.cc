#include "server/engine/cuda_driver.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>

#include "server/engine/library_function.h"

namespace induct::engine {
namespace {

constexpr int kComputeCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR

// The functions of the driver API that are used here; each returns 0 for success.
struct Driver {
  int (*init)(unsigned) = nullptr;
  int (*device_get)(int*, int) = nullptr;
  int (*device_get_name)(char*, int, int) = nullptr;
  int (*device_total_memory)(size_t*, int) = nullptr;
  int (*device_get_attribute)(int*, int, int) = nullptr;
  int (*device_get_pci_bus_id)(char*, int, int) = nullptr;
};

std::optional<Driver> LoadDriver() {
  // Stays loaded: LibTorch uses it as long as the process lives.
  void* const library = dlopen("libcuda.so.1", RTLD_LAZY);
  if (library == nullptr) return std::nullopt;
  Driver driver;
  const bool complete = FindFunction(library, "cuInit", driver.init) &&
                        FindFunction(library, "cuDeviceGet", driver.device_get) &&
                        FindFunction(library, "cuDeviceGetName", driver.device_get_name) &&
                        FindFunction(library, "cuDeviceTotalMem_v2", driver.device_total_memory) &&
                        FindFunction(library, "cuDeviceGetAttribute", driver.device_get_attribute) &&
                        FindFunction(library, "cuDeviceGetPCIBusId", driver.device_get_pci_bus_id);
  if (!complete || driver.init(0) != 0) return std::nullopt;
  return driver;
}

}  // namespace

std::optional<CudaDevice> DescribeCudaDevice(int index) {
  static const std::optional<Driver> driver = LoadDriver();
  if (!driver) return std::nullopt;
  int device = 0;
  std::array<char, 256> name{}, bus_id{};
  size_t bytes = 0;
  int capability = 0;
  const bool found = driver->device_get(&device, index) == 0 &&
                     driver->device_get_name(name.data(), name.size(), device) == 0 &&
                     driver->device_total_memory(&bytes, device) == 0 &&
                     driver->device_get_attribute(&capability, kComputeCapabilityMajor, device) == 0 &&
                     driver->device_get_pci_bus_id(bus_id.data(), bus_id.size(), device) == 0;
  if (!found) return std::nullopt;
  return CudaDevice{.name = name.data(),
                    .memory_bytes = static_cast<int64_t>(bytes),
                    .compute_capability = capability,
                    .pci_bus_id = bus_id.data()};
}

}  // namespace induct::engine
