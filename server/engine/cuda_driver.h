// What the CUDA driver knows of a GPU, without the CUDA toolkit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace induct::engine {

struct CudaDevice {
  std::string name;
  int64_t memory_bytes = 0;
  int compute_capability = 0;  // its first number: 8 for Ampere
  std::string pci_bus_id;      // "0000:3B:00.0"
};

// The GPU of that index; nothing where there is no driver or no such GPU. Safe from every thread.
std::optional<CudaDevice> DescribeCudaDevice(int index);

}  // namespace induct::engine
