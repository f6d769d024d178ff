// Jobs as the terminal and `--json` show them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "induct/v1/job.pb.h"

namespace induct::client {

// "succeeded" for STATE_SUCCEEDED; "state 12" for one that this client does not know.
std::string StateWord(v1::Job::State state);

// The states that jobs have, in the order in which they pass through them.
std::vector<std::string> StateWords();

// The state of that word; INVALID_ARGUMENT, naming the words that there are.
absl::StatusOr<v1::Job::State> ParseState(const std::string& word);

// "jobs/NAME", for NAME as well as for "jobs/NAME".
std::string FullJobName(const std::string& name);

}  // namespace induct::client
