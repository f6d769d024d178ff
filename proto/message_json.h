// Messages as the JSON of result files, run directories and `--json`: the contract's field names, every field
// printed.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace induct {

// Indented, ending in a newline.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// Fills `message` from such JSON; fields that it does not know are skipped. DATA_LOSS for anything else, a
// file cut short among it.
absl::Status FromJson(std::string_view json, google::protobuf::Message* message);

}  // namespace induct
