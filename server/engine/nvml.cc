#include "server/engine/nvml.h"

#include <dlfcn.h>

#include <optional>

#include "server/engine/library_function.h"

namespace induct::engine {
namespace {

struct NvmlMemory {
  unsigned long long total = 0, free = 0, used = 0;
};

// The functions that are used here; each returns 0 for success. A device is a pointer of the library's.
struct Nvml {
  int (*init)() = nullptr;
  int (*device_by_bus_id)(const char*, void**) = nullptr;
  int (*device_memory)(void*, NvmlMemory*) = nullptr;
};

std::optional<Nvml> LoadNvml() {
  void* const library = dlopen("libnvidia-ml.so.1", RTLD_LAZY);
  if (library == nullptr) return std::nullopt;
  Nvml nvml;
  const bool complete = FindFunction(library, "nvmlInit_v2", nvml.init) &&
                        FindFunction(library, "nvmlDeviceGetHandleByPciBusId_v2", nvml.device_by_bus_id) &&
                        FindFunction(library, "nvmlDeviceGetMemoryInfo", nvml.device_memory);
  if (!complete || nvml.init() != 0) return std::nullopt;
  return nvml;
}

}  // namespace

int64_t GpuBytesInUse(const std::string& pci_bus_id) {
  static const std::optional<Nvml> nvml = LoadNvml();
  if (!nvml) return 0;
  void* device = nullptr;
  NvmlMemory memory;
  const bool found =
      nvml->device_by_bus_id(pci_bus_id.c_str(), &device) == 0 && nvml->device_memory(device, &memory) == 0;
  return found ? static_cast<int64_t>(memory.used) : 0;
}

}  // namespace induct::engine
