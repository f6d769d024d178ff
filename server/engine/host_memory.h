// How much memory this process may use on the host.
#pragma once

#include <cstdint>
#include <string>

namespace induct::engine {

// The least of the machine's memory and the limits of the control groups (v1 and v2) that the process is in,
// as Linux tells them under <root>/proc and <root>/sys/fs/cgroup; 0 where not even the first is known. `root`
// is for tests; the machine's own is "".
int64_t HostMemoryBytes(const std::string& root = "");

}  // namespace induct::engine
