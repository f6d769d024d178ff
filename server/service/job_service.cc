// JobService: creating jobs, looking at them, following, cancelling, deleting, reading artifacts.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/service/calls.h"
#include "server/service/event_stream.h"
#include "server/service/job_creation.h"
#include "server/service/job_kind.h"
#include "server/service/job_messages.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

constexpr uint32_t kDefaultPage = 50;
constexpr uint32_t kMaxPage = 1000;
constexpr size_t kChunkBytes = (size_t{1} << 20) - 1024;  // the message with its framing stays within 1 MiB

absl::Status CheckList(const v1::ListJobsRequest& request) {
  if (request.page_size() > kMaxPage) {
    return InvalidField("page_size",
                        absl::StrCat(request.page_size(), " given, at most ", kMaxPage, " are allowed"));
  }
  if (!request.page_token().empty() && !request.page_token().starts_with("jobs/"))
    return InvalidField("page_token", "give next_page_token of the page before");
  for (const int state : request.states()) {
    if (!v1::Job::State_IsValid(state) || state == v1::Job::STATE_UNSPECIFIED)
      return InvalidField("states", absl::StrCat("there is no state ", state));
  }
  for (const std::string& kind : request.kinds()) {
    if (FindKind(kind) == nullptr) return InvalidField("kinds", absl::StrCat("there is no kind ", kind));
  }
  return absl::OkStatus();
}

// Whether a job is wanted; a filter that is empty takes all.
jobs::JobFilter FilterOf(const v1::ListJobsRequest& request, const std::string& caller) {
  return [&request, caller](const jobs::JobRecord& record) {
    const auto in = [](const auto& wanted, const auto& value) {
      return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
    };
    if (request.mine() && record.spec.owner != caller) return false;
    if (!request.owner().empty() && record.spec.owner != request.owner()) return false;
    if (!in(request.states(), static_cast<int>(StateOf(record.state)))) return false;
    if (!in(request.kinds(), record.spec.kind)) return false;
    if (request.has_created_from() && record.created < TimeOf(request.created_from())) return false;
    if (request.has_created_before() && record.created >= TimeOf(request.created_before())) return false;
    if (request.model().empty()) return true;
    const v1::JobAccepted accepted = AcceptedOf(record);
    return std::find(accepted.models().begin(), accepted.models().end(), request.model()) !=
           accepted.models().end();
  };
}

}  // namespace

v1::Job JobService::Describe(const jobs::JobRecord& record) const {
  return ToMessage(record, context_.info.id(), context_.scheduler->QueuePosition(record.name));
}

grpc::ServerUnaryReactor* JobService::CreateJob(grpc::CallbackServerContext* call,
                                                const v1::CreateJobRequest* request, v1::Job* response) {
  return AnswerOn(*context_.pool, call, [this, owner = OwnerOf(*call), request, response]() -> absl::Status {
    INDUCT_ASSIGN_OR_RETURN(const jobs::JobRecord record,
                            service::CreateJob(context_, request->spec(), owner));
    *response = Describe(record);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* call,
                                             const v1::GetJobRequest* request, v1::Job* response) {
  return AnswerOn(*context_.pool, call, [this, request, response]() -> absl::Status {
    INDUCT_ASSIGN_OR_RETURN(const jobs::JobRecord record, context_.store->Get(request->name()));
    *response = Describe(record);
    return AddDetails(*context_.store, response);
  });
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* call,
                                               const v1::ListJobsRequest* request,
                                               v1::ListJobsResponse* response) {
  return AnswerOn(*context_.pool, call, [this, caller = OwnerOf(*call), request, response]() -> absl::Status {
    INDUCT_RETURN_IF_ERROR(CheckList(*request));
    const size_t page = request->page_size() == 0 ? kDefaultPage : request->page_size();
    INDUCT_ASSIGN_OR_RETURN(
        auto records, context_.store->List(FilterOf(*request, caller), request->page_token(), page + 1));
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

grpc::ServerUnaryReactor* JobService::DeleteJob(grpc::CallbackServerContext* call,
                                                const v1::DeleteJobRequest* request, v1::DeleteJobResponse*) {
  return AnswerOn(*context_.pool, call, [this, request] { return context_.store->Delete(request->name()); });
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
