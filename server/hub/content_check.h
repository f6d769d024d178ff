// Whether bytes are those that a hub announced.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "absl/status/status.h"

namespace induct::hub {

// Reads the first `size` bytes of `fd` and compares them with the ETag: their SHA-256 (64 hexadecimal
// digits), or git's SHA-1 of them as a blob (40). Other ETags say nothing about the bytes, and OK is
// returned. DATA_LOSS naming both sums where they differ, CANCELLED soon after `stop`.
absl::Status CheckContent(int fd, uint64_t size, const std::string& etag, const std::stop_token& stop);

}  // namespace induct::hub
