// Messages as the JSON of result files, run directories and `--json`: the contract's field names, every field
// printed.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace induct {

// Indented, ending in a newline.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

}  // namespace induct
