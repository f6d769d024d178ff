// SHA-256 of bytes and of files, as lower-case hexadecimal (64 characters).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace induct {

std::string Sha256Hex(std::string_view bytes);

// Reads the file in pieces. NOT_FOUND or UNAVAILABLE where it can't be read.
absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path);

}  // namespace induct
