// How much memory this process may use on the host, and how much is in use.
#pragma once

#include <cstdint>
#include <string>

namespace induct::engine {

// Bytes; 0 where they are not known.
struct HostMemory {
  // The least of the machine's memory and the limits of the control groups (v1 and v2) that the process is
  // in.
  int64_t total = 0;
  // By all that shares it: the programs of the machine, or those of the control group with that limit. What
  // the system would give back first, as files read once, is not in it.
  int64_t used = 0;
};

// As Linux tells it under <root>/proc and <root>/sys/fs/cgroup. `root` is for tests; the machine's own is "".
HostMemory ReadHostMemory(const std::string& root = "");

}  // namespace induct::engine
