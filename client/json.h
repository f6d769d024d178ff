// Messages as the JSON that run directories and `--json` hold: original field names, every field printed.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace induct::client {

// Indented, ending in a newline.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

}  // namespace induct::client
