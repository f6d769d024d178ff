// AnalysisService: a request becomes a job, and the job's events a stream.
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/runs/prompt_source.h"
#include "server/service/calls.h"
#include "server/service/event_stream.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

constexpr char kProfileKind[] = "profile";
constexpr size_t kPreviewBytes = size_t{512} << 10;

absl::Duration Deadline(double seconds) { return seconds > 0 ? absl::Seconds(seconds) : absl::InfiniteDuration(); }

// REQUIRES: resolved.
jobs::JobSpec JobSpecOf(const v1::RunProfileRequest& request, const std::string& owner, const std::string& server_id) {
  v1::JobEvent accepted;
  accepted.mutable_accepted()->set_server_id(server_id);
  v1::RunProfileRequest& shown = *accepted.mutable_accepted()->mutable_resolved_request();
  shown = request;
  shown.clear_given_prompts();
  shown.mutable_job()->clear_request_id();

  v1::RunProfileRequest stored = request;
  stored.mutable_job()->clear_request_id();
  return {.kind = kProfileKind,
          .owner = owner,
          .request_id = request.job().request_id(),
          .request = stored.SerializeAsString(),
          .accepted = accepted.SerializeAsString(),
          .priority = request.job().priority(),
          .queue_deadline = Deadline(request.job().queue_deadline()),
          .run_deadline = Deadline(request.job().run_deadline()),
          .on_disconnect = request.job().on_disconnect() == "continue" ? jobs::OnDisconnect::kContinue : jobs::OnDisconnect::kCancel};
}

// Messages of a preview, each well below a megabyte.
std::vector<v1::PreviewPromptsResponse> PreviewMessages(const runs::PromptSet& set) {
  std::vector<v1::PreviewPromptsResponse> messages(1);
  messages[0].mutable_warnings()->Assign(set.warnings.begin(), set.warnings.end());
  size_t bytes = 0;
  for (const analysis::Prompt& prompt : set.prompts) {
    v1::Prompt message = ToMessage(prompt);
    const size_t size = message.ByteSizeLong();
    if (bytes > 0 && bytes + size > kPreviewBytes) {
      messages.emplace_back();
      bytes = 0;
    }
    bytes += size;
    *messages.back().add_prompts() = std::move(message);
  }
  return messages;
}

absl::StatusOr<std::vector<v1::PreviewPromptsResponse>> Preview(const ServiceContext& context, v1::RunProfileRequest request) {
  INDUCT_RETURN_IF_ERROR(ResolveProfileRequest(context.settings, context.limits, &request));
  INDUCT_ASSIGN_OR_RETURN(const auto files, context.registry->Open(request.model()));
  INDUCT_ASSIGN_OR_RETURN(const runs::PromptSet set, runs::MakePrompts(FromMessage(request, context.limits).prompts, *files));
  return PreviewMessages(set);
}

}  // namespace

std::string OwnerOf(const grpc::CallbackServerContext& context) {
  const auto it = context.client_metadata().find("induct-user");
  if (it == context.client_metadata().end() || it->second.empty()) return "anonymous";
  std::string owner(it->second.data(), std::min<size_t>(it->second.size(), 64));
  for (char& c : owner) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return owner;
}

grpc::ServerWriteReactor<v1::JobEvent>* AnalysisService::RunProfile(grpc::CallbackServerContext* call,
                                                                    const v1::RunProfileRequest* request) {
  const std::string owner = OwnerOf(*call);
  return EventStream::Start(
      *context_.pool, absl::Seconds(context_.settings.Real("heartbeat_seconds")),
      [this, owner, given = *request](std::function<void()> wake) -> absl::StatusOr<EventStream::Opened> {
        v1::RunProfileRequest resolved = given;
        INDUCT_RETURN_IF_ERROR(ResolveProfileRequest(context_.settings, context_.limits, &resolved));
        INDUCT_RETURN_IF_ERROR(context_.registry->CheckExists(resolved.model()));
        INDUCT_ASSIGN_OR_RETURN(const jobs::JobRecord record, context_.scheduler->Submit(JobSpecOf(resolved, owner, context_.info.id())));
        INDUCT_ASSIGN_OR_RETURN(auto watch, context_.scheduler->OpenWatch(record.name, owner, 0, std::move(wake)));
        return EventStream::Opened{record.name, std::move(watch)};
      });
}

grpc::ServerWriteReactor<v1::PreviewPromptsResponse>* AnalysisService::PreviewPrompts(grpc::CallbackServerContext*,
                                                                                      const v1::PreviewPromptsRequest* request) {
  using Response = v1::PreviewPromptsResponse;
  struct State {
    bool made = false;
    size_t sent = 0;
    std::vector<Response> messages;
  };
  return PieceStream<Response>::Start(
      *context_.pool,
      [this, request, state = std::make_shared<State>()]() -> absl::StatusOr<std::optional<Response>> {
        if (!std::exchange(state->made, true)) {
          INDUCT_ASSIGN_OR_RETURN(state->messages, Preview(context_, request->profile()));
        }
        if (state->sent == state->messages.size()) return std::nullopt;
        return std::move(state->messages[state->sent++]);
      });
}

jobs::WorkFactory MakeWorkFactory(const RequestLimits& limits, const runs::RunEnvironment& environment) {
  return [&limits, &environment](const jobs::JobRecord& record) -> absl::StatusOr<std::unique_ptr<jobs::Work>> {
    v1::RunProfileRequest request;
    if (record.spec.kind != kProfileKind || !request.ParseFromString(record.spec.request)) {
      return absl::InternalError(absl::StrCat("this server can't run a stored job of the kind \"", record.spec.kind, "\""));
    }
    return runs::NewProfileRun(FromMessage(request, limits), environment);
  };
}

}  // namespace induct::service
