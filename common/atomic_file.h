// Whole files or none: what a reader, a crash or a full disk may never see is half a file.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct {

// Writes `bytes` to a temporary file in the same folder, flushes it to disk and renames it to `path`; on any
// error the temporary file is removed and an old `path` stays. The folder must exist.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// The file's bytes. NOT_FOUND where there is none, RESOURCE_EXHAUSTED where it is larger than `limit`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit = size_t{1} << 30);

}  // namespace induct
