// What a profile found, in a few lines.
#pragma once

#include <string>

#include "induct/v1/job.pb.h"

namespace induct::client {

// Ends in a newline. `saved` says where the run's files are.
std::string SummaryText(const std::string& model, const v1::JobFinished& finished, const std::string& saved);

}  // namespace induct::client
