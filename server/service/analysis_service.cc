// AnalysisService: a request becomes a job, and the job's events a stream.
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/runs/prompt_source.h"
#include "server/service/calls.h"
#include "server/service/event_stream.h"
#include "server/service/messages.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

constexpr size_t kPreviewBytes = size_t{256} << 10;  // of a message, which may be one prompt larger

absl::Duration Deadline(double seconds) {
  return seconds > 0 ? absl::Seconds(seconds) : absl::InfiniteDuration();
}

// REQUIRES: resolved.
template <typename Request>
jobs::JobSpec JobSpecOf(Request request, const std::string& owner, const std::string& server_id) {
  v1::RunProfileRequest& profile = *MutableProfile(&request);
  v1::JobEvent accepted;
  accepted.mutable_accepted()->set_server_id(server_id);
  for (const std::string& model : ModelsOf(request)) accepted.mutable_accepted()->add_models(model);
  v1::RunProfileRequest& shown = *accepted.mutable_accepted()->mutable_resolved_request();
  shown.set_model(profile.model());
  *shown.mutable_job() = profile.job();
  *shown.mutable_run() = profile.run();
  *shown.mutable_prompts() = profile.prompts();
  *shown.mutable_evaluation() = profile.evaluation();
  shown.mutable_job()->clear_request_id();

  const v1::JobOptions job = profile.job();
  profile.mutable_job()->clear_request_id();
  return {.kind = KindOf(&request),
          .owner = owner,
          .request_id = job.request_id(),
          .request = request.SerializeAsString(),
          .accepted = accepted.SerializeAsString(),
          .priority = job.priority(),
          .queue_deadline = Deadline(job.queue_deadline()),
          .run_deadline = Deadline(job.run_deadline()),
          .on_disconnect = job.on_disconnect() == "continue" ? jobs::OnDisconnect::kContinue
                                                             : jobs::OnDisconnect::kCancel};
}

using EventReactor = grpc::ServerWriteReactor<v1::JobEvent>;

// Resolves the request and makes it a job.
template <typename Request>
absl::StatusOr<jobs::JobRecord> Accept(const ServiceContext& context, Request request,
                                       const std::string& owner) {
  INDUCT_RETURN_IF_ERROR(Resolve(context.settings, context.limits, &request));
  for (std::string* model : MutableModelsOf(&request)) {
    INDUCT_RETURN_IF_ERROR(context.registry->CheckExists(*model));
    // What a run saves names its model for whoever repeats it from another folder.
    INDUCT_ASSIGN_OR_RETURN(*model, context.registry->WithAbsolutePath(*model));
  }
  return context.scheduler->Submit(JobSpecOf(std::move(request), owner, context.info.id()));
}

// Submits the request and streams the job's events.
template <typename Request>
EventReactor* Submit(const ServiceContext& context, const grpc::CallbackServerContext& call,
                     const Request* request) {
  const std::string owner = OwnerOf(call);
  return EventStream::Start(
      *context.pool, absl::Seconds(context.settings.Real("heartbeat_seconds")), *context.recorder,
      [&context, owner, request](std::function<void()> wake) -> absl::StatusOr<EventStream::Opened> {
        // A copy: gRPC keeps the original until the call is over.
        const absl::StatusOr<jobs::JobRecord> record = Accept(context, *request, owner);
        if (!record.ok()) {
          context.recorder->RequestRejected(record.status());
          return record.status();
        }
        INDUCT_ASSIGN_OR_RETURN(auto watch,
                                context.scheduler->OpenWatch(record->name, owner, 0, std::move(wake)));
        return EventStream::Opened{record->name, std::move(watch)};
      });
}

// The prompts of a preview, and how many of them have been sent.
struct Preview {
  runs::PromptSet set;
  size_t sent = 0;
};

absl::StatusOr<Preview> MakePreview(const ServiceContext& context, v1::RunProfileRequest request,
                                    std::stop_token stop) {
  INDUCT_RETURN_IF_ERROR(Resolve(context.settings, context.limits, &request));
  // A preview downloads nothing: that would hold up the calls that share its threads.
  INDUCT_ASSIGN_OR_RETURN(const models::ModelListing model, context.registry->Describe(request.model()));
  INDUCT_ASSIGN_OR_RETURN(runs::PromptSet set,
                          runs::MakePrompts(FromMessage(request, context.limits).prompts, model.files, stop));
  return Preview{.set = std::move(set)};
}

// The next message, of about kPreviewBytes; nothing when all has been sent. A text that would not fit is left
// out: its token ids say as much.
std::optional<v1::PreviewPromptsResponse> NextMessage(Preview& preview) {
  if (preview.sent == preview.set.prompts.size()) return std::nullopt;
  v1::PreviewPromptsResponse message;
  if (preview.sent == 0)
    message.mutable_warnings()->Assign(preview.set.warnings.begin(), preview.set.warnings.end());
  size_t bytes = 0;
  while (preview.sent < preview.set.prompts.size() && bytes < kPreviewBytes) {
    v1::Prompt prompt = ToMessage(preview.set.prompts[preview.sent++]);
    if (prompt.text().size() > kPreviewBytes / 2) prompt.clear_text();
    bytes += prompt.ByteSizeLong();
    *message.add_prompts() = std::move(prompt);
  }
  return message;
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

EventReactor* AnalysisService::RunProfile(grpc::CallbackServerContext* call,
                                          const v1::RunProfileRequest* request) {
  return Submit(context_, *call, request);
}

EventReactor* AnalysisService::CrossSize(grpc::CallbackServerContext* call,
                                         const v1::CrossSizeRequest* request) {
  return Submit(context_, *call, request);
}

EventReactor* AnalysisService::Nulls(grpc::CallbackServerContext* call, const v1::NullsRequest* request) {
  return Submit(context_, *call, request);
}

EventReactor* AnalysisService::Causal(grpc::CallbackServerContext* call, const v1::CausalRequest* request) {
  return Submit(context_, *call, request);
}

EventReactor* AnalysisService::LagBuckets(grpc::CallbackServerContext* call,
                                          const v1::LagBucketsRequest* request) {
  return Submit(context_, *call, request);
}

EventReactor* AnalysisService::Pattern(grpc::CallbackServerContext* call, const v1::PatternRequest* request) {
  return Submit(context_, *call, request);
}

grpc::ServerWriteReactor<v1::PreviewPromptsResponse>* AnalysisService::PreviewPrompts(
    grpc::CallbackServerContext*, const v1::PreviewPromptsRequest* request) {
  using Response = v1::PreviewPromptsResponse;
  return PieceStream<Response>::Start(
      *context_.slow_pool,
      [this, request, preview = std::optional<Preview>()](
          std::stop_token stop) mutable -> absl::StatusOr<std::optional<Response>> {
        if (!preview) {
          INDUCT_ASSIGN_OR_RETURN(preview, MakePreview(context_, request->profile(), stop));
        }
        return NextMessage(*preview);
      });
}

namespace {

// The work of a stored job, where it is of the request's kind.
template <typename Request>
bool ReadWork(const jobs::JobRecord& record, const RequestLimits& limits,
              const runs::RunEnvironment& environment, std::unique_ptr<jobs::Work>* work) {
  Request request;
  if (record.spec.kind != KindOf(&request) || !request.ParseFromString(record.spec.request)) return false;
  *work = MakeWork(request, limits, environment);
  return true;
}

template <typename... Requests>
std::unique_ptr<jobs::Work> ReadWorkOfAny(const jobs::JobRecord& record, const RequestLimits& limits,
                                          const runs::RunEnvironment& environment) {
  std::unique_ptr<jobs::Work> work;
  (ReadWork<Requests>(record, limits, environment, &work) || ...);
  return work;
}

}  // namespace

jobs::WorkFactory MakeWorkFactory(const RequestLimits& limits, const runs::RunEnvironment& environment) {
  return
      [&limits, &environment](const jobs::JobRecord& record) -> absl::StatusOr<std::unique_ptr<jobs::Work>> {
        std::unique_ptr<jobs::Work> work =
            ReadWorkOfAny<v1::RunProfileRequest, v1::CrossSizeRequest, v1::NullsRequest, v1::CausalRequest,
                          v1::LagBucketsRequest, v1::PatternRequest>(record, limits, environment);
        if (work != nullptr) return work;
        return absl::InternalError(
            absl::StrCat("this server can't run a stored job of the kind \"", record.spec.kind, "\""));
      };
}

}  // namespace induct::service
