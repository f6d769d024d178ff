// How much of a GPU's memory is in use, which the CUDA driver tells only who holds a context on the GPU; its
// management library tells it without one.
#pragma once

#include <cstdint>
#include <string>

namespace induct::engine {

// Of all programs on the GPU with that bus id ("0000:3B:00.0"); 0 where there is no such library or GPU. Safe
// from every thread.
int64_t GpuBytesInUse(const std::string& pci_bus_id);

}  // namespace induct::engine
