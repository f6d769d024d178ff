// AnalysisService: a job is created and followed in one call.
#include <memory>

#include "common/status.h"
#include "server/runs/prompt_source.h"
#include "server/service/calls.h"
#include "server/service/event_stream.h"
#include "server/service/job_creation.h"
#include "server/service/messages.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

constexpr size_t kPreviewBytes = size_t{256} << 10;  // of a message, which may be one prompt larger

using EventReactor = grpc::ServerWriteReactor<v1::JobEvent>;

// CreateJob and WatchJob in one stream.
template <typename Spec>
EventReactor* CreateAndWatch(const ServiceContext& context, const grpc::CallbackServerContext& call,
                             const auto* request, Spec* (v1::JobSpec::*mutable_analysis)()) {
  return EventStream::Start(
      *context.pool, absl::Seconds(context.settings.Real("heartbeat_seconds")), *context.recorder,
      [&context, owner = OwnerOf(call), request,
       mutable_analysis](std::function<void()> wake) -> absl::StatusOr<EventStream::Opened> {
        v1::JobSpec spec;  // of copies: gRPC keeps the original until the call is over
        if (request->has_spec()) *(spec.*mutable_analysis)() = request->spec();
        *spec.mutable_options() = request->options();
        INDUCT_ASSIGN_OR_RETURN(const jobs::JobRecord record, CreateJob(context, std::move(spec), owner));
        INDUCT_ASSIGN_OR_RETURN(auto watch,
                                context.scheduler->OpenWatch(record.name, owner, 0, std::move(wake)));
        return EventStream::Opened{record.name, std::move(watch)};
      });
}

// The prompts of a preview, and how many of them have been sent.
struct Preview {
  runs::PromptSet set;
  size_t sent = 0;
};

absl::StatusOr<Preview> MakePreview(const ServiceContext& context, const v1::PreviewPromptsRequest& request,
                                    std::stop_token stop) {
  v1::JobSpec spec;
  if (request.has_profile()) *spec.mutable_profile() = request.profile();
  INDUCT_RETURN_IF_ERROR(Resolve(context.settings, context.limits, &spec));
  // A preview downloads nothing: that would hold up the calls that share its threads.
  INDUCT_ASSIGN_OR_RETURN(const models::ModelListing model,
                          context.registry->Describe(spec.profile().model()));
  INDUCT_ASSIGN_OR_RETURN(runs::PromptSet set,
                          runs::MakePrompts(FromMessage(spec, context.limits).prompts, model.files, stop));
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

EventReactor* AnalysisService::RunProfile(grpc::CallbackServerContext* call,
                                          const v1::RunProfileRequest* request) {
  return CreateAndWatch(context_, *call, request, &v1::JobSpec::mutable_profile);
}

EventReactor* AnalysisService::CrossSize(grpc::CallbackServerContext* call,
                                         const v1::CrossSizeRequest* request) {
  return CreateAndWatch(context_, *call, request, &v1::JobSpec::mutable_cross_size);
}

EventReactor* AnalysisService::Nulls(grpc::CallbackServerContext* call, const v1::NullsRequest* request) {
  return CreateAndWatch(context_, *call, request, &v1::JobSpec::mutable_nulls);
}

EventReactor* AnalysisService::Causal(grpc::CallbackServerContext* call, const v1::CausalRequest* request) {
  return CreateAndWatch(context_, *call, request, &v1::JobSpec::mutable_causal);
}

EventReactor* AnalysisService::LagBuckets(grpc::CallbackServerContext* call,
                                          const v1::LagBucketsRequest* request) {
  return CreateAndWatch(context_, *call, request, &v1::JobSpec::mutable_lag_buckets);
}

EventReactor* AnalysisService::Pattern(grpc::CallbackServerContext* call, const v1::PatternRequest* request) {
  return CreateAndWatch(context_, *call, request, &v1::JobSpec::mutable_pattern);
}

grpc::ServerWriteReactor<v1::PreviewPromptsResponse>* AnalysisService::PreviewPrompts(
    grpc::CallbackServerContext*, const v1::PreviewPromptsRequest* request) {
  using Response = v1::PreviewPromptsResponse;
  return PieceStream<Response>::Start(
      *context_.slow_pool,
      [this, request, preview = std::optional<Preview>()](
          std::stop_token stop) mutable -> absl::StatusOr<std::optional<Response>> {
        if (!preview) {
          INDUCT_ASSIGN_OR_RETURN(preview, MakePreview(context_, *request, stop));
        }
        return NextMessage(*preview);
      });
}

}  // namespace induct::service
