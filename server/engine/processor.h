// What kind of processor this machine has.
#pragma once

#include <string>

namespace induct::engine {

// Tells kinds of processors apart, for example "AMD EPYC, family 26 model 2"; "unknown processor" where the
// system does not say. `cpuinfo`: as Linux shows it; other files are for tests.
std::string ProcessorDescription(const std::string& cpuinfo = "/proc/cpuinfo");

}  // namespace induct::engine
