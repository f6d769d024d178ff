// JobService: looking at jobs, following, cancelling, reading artifacts.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/service/calls.h"
#include "server/service/event_stream.h"
#include "server/service/job_messages.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

constexpr uint32_t kDefaultPage = 50;
constexpr uint32_t kMaxPage = 1000;
constexpr size_t kChunkBytes = (size_t{1} << 20) - 1024;  // the message with its framing stays within 1 MiB

}  // namespace

v1::Job JobService::Describe(const jobs::JobRecord& record) const {
  return ToMessage(record, context_.info.id(), context_.scheduler->QueuePosition(record.name));
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* call,
                                             const v1::GetJobRequest* request, v1::Job* response) {
  return AnswerOn(*context_.pool, call, [this, request, response]() -> absl::Status {
    INDUCT_ASSIGN_OR_RETURN(const jobs::JobRecord record, context_.store->Get(request->name()));
    *response = Describe(record);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* call,
                                               const v1::ListJobsRequest* request,
                                               v1::ListJobsResponse* response) {
  const std::string owner = request->mine() ? OwnerOf(*call) : "";
  return AnswerOn(*context_.pool, call, [this, owner, request, response]() -> absl::Status {
    if (request->page_size() > kMaxPage) {
      return InvalidField("page_size",
                          absl::StrCat(request->page_size(), " given, at most ", kMaxPage, " are allowed"));
    }
    if (!request->page_token().empty() && !request->page_token().starts_with("jobs/")) {
      return InvalidField("page_token", "give next_page_token of the page before");
    }
    const size_t page = request->page_size() == 0 ? kDefaultPage : request->page_size();
    INDUCT_ASSIGN_OR_RETURN(auto records, context_.store->List(owner, request->page_token(), page + 1));
    const bool more = records.size() > page;
    if (more) records.pop_back();
    for (const jobs::JobRecord& record : records) *response->add_jobs() = Describe(record);
    if (more) response->set_next_page_token(records.back().name);
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::JobEvent>* JobService::WatchJob(grpc::CallbackServerContext* call,
                                                             const v1::WatchJobRequest* request) {
  return EventStream::Start(
      *context_.pool, absl::Seconds(context_.settings.Real("heartbeat_seconds")), *context_.recorder,
      [this, owner = OwnerOf(*call),
       asked = *request](std::function<void()> wake) -> absl::StatusOr<EventStream::Opened> {
        INDUCT_ASSIGN_OR_RETURN(
            auto watch,
            context_.scheduler->OpenWatch(asked.name(), owner, asked.after_sequence(), std::move(wake)));
        return EventStream::Opened{asked.name(), std::move(watch)};
      });
}

grpc::ServerUnaryReactor* JobService::CancelJob(grpc::CallbackServerContext* call,
                                                const v1::CancelJobRequest* request, v1::Job* response) {
  return AnswerOn(*context_.pool, call, [this, request, response]() -> absl::Status {
    INDUCT_ASSIGN_OR_RETURN(const jobs::JobRecord record, context_.scheduler->Cancel(request->name()));
    *response = Describe(record);
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::ReadArtifactResponse>* JobService::ReadArtifact(
    grpc::CallbackServerContext*, const v1::ReadArtifactRequest* request) {
  using Response = v1::ReadArtifactResponse;
  return PieceStream<Response>::Start(
      *context_.pool,
      [this, request,
       offset = request->offset()](std::stop_token) mutable -> absl::StatusOr<std::optional<Response>> {
        INDUCT_ASSIGN_OR_RETURN(std::string bytes,
                                context_.store->ReadArtifact(request->job(), request->name(),
                                                             request->sha256(), offset, kChunkBytes));
        if (bytes.empty()) return std::nullopt;
        offset += bytes.size();
        Response response;
        response.set_data(std::move(bytes));
        return response;
      });
}

}  // namespace induct::service
