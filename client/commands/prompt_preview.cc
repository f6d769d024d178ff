#include "client/commands/prompt_preview.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/exit_code.h"
#include "client/rpc_error.h"
#include "client/text.h"

namespace induct::client {
namespace {

std::string PromptLine(const v1::Prompt& prompt) {
  const std::string content =
      prompt.has_text() ? Printable(prompt.text()) : absl::StrJoin(prompt.token_ids(), " ");
  return absl::StrCat(Printable(prompt.task()), "\t", prompt.lag(), "\t", content, "\n");
}

}  // namespace

absl::Status PrintPrompts(Connection* connection, const v1::ProfileSpec& profile,
                          const std::function<void(const std::string&)>& warn) {
  v1::PreviewPromptsRequest preview;
  *preview.mutable_profile() = profile;
  Call call(connection, absl::InfiniteDuration());
  const auto reader = connection->analysis().PreviewPrompts(call.context(), preview);
  v1::PreviewPromptsResponse response;
  while (reader->Read(&response)) {
    for (const std::string& warning : response.warnings()) warn(warning);
    for (const v1::Prompt& prompt : response.prompts()) std::fputs(PromptLine(prompt).c_str(), stdout);
  }
  const grpc::Status status = reader->Finish();
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED)
    return WithExitCode(FromGrpcStatus(status), ExitCode::kBusy);
  return IsTransportError(status) ? connection->Lost(status) : FromGrpcStatus(status);
}

}  // namespace induct::client
