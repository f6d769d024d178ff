// The libFuzzer program of one target, INDUCT_FUZZ_TARGET. tests/fuzz/run.sh builds and runs them all.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto target =
      std::find_if(induct::checkpoint::FuzzTargets().begin(), induct::checkpoint::FuzzTargets().end(),
                   [](const auto& candidate) { return candidate.name == INDUCT_FUZZ_TARGET; });
  target->read({reinterpret_cast<const char*>(data), size}).IgnoreError();
  return 0;
}
