// What every program shows of its own process, read from /proc; nullopt where it can't be read.
#pragma once

#include <cstdint>
#include <optional>

namespace induct::metrics {

// Seconds since 1970. Ask once: the machine's notion of when it started moves with its clock.
std::optional<double> ProcessStartSeconds();
std::optional<int64_t> ProcessResidentBytes();
std::optional<int64_t> ProcessOpenFds();

}  // namespace induct::metrics
