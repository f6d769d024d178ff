#include "client/exit_code.h"

#include <cstdlib>
#include <string>

#include "absl/strings/cord.h"

namespace induct::client {
namespace {

constexpr char kExitCodeUrl[] = "induct/exit_code";

}  // namespace

absl::Status WithExitCode(absl::Status status, ExitCode code) {
  if (!status.ok() && !status.GetPayload(kExitCodeUrl)) {
    status.SetPayload(kExitCodeUrl, absl::Cord(std::to_string(static_cast<int>(code))));
  }
  return status;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kDone;
  if (const auto payload = status.GetPayload(kExitCodeUrl)) {
    return static_cast<ExitCode>(std::atoi(std::string(*payload).c_str()));
  }
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? ExitCode::kUsage
                                                                     : ExitCode::kJobFailed;
}

}  // namespace induct::client
