// `profile --print_prompts`: the prompts that a profile would use.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/connection.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// Prints a prompt a line to standard output: task, lag, text (control characters escaped) or token ids,
// separated by tabs. `warn` gets the server's warnings.
absl::Status PrintPrompts(Connection* connection, const v1::ProfileSpec& profile,
                          const std::function<void(const std::string&)>& warn);

}  // namespace induct::client
