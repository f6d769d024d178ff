// How many cores this process may use.
#pragma once

namespace induct {

// At least 1: the smaller of the CPUs in the affinity mask and the cgroup's CPU quota, rounded up.
int AvailableCores();

}  // namespace induct
