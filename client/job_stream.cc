#include "client/job_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "client/rpc_error.h"
#include "common/status.h"

namespace induct::client {
namespace {

constexpr absl::Duration kCancelTimeout = absl::Seconds(5);

}  // namespace

JobStream::JobStream(Connection* connection, v1::JobSpec spec, std::function<void(const std::string&)> notice)
    : connection_(connection),
      spec_(std::move(spec)),
      notice_(std::move(notice)),
      backoff_(connection->retry()) {}

JobStream::~JobStream() {
  if (reader_ == nullptr) return;
  call_->context()->TryCancel();
  v1::JobEvent ignored;
  while (reader_->Read(&ignored)) {
  }
  (void)reader_->Finish();  // ended by us: what it says is known
}

absl::StatusOr<v1::JobEvent> JobStream::Next() {
  while (true) {
    if (job().empty()) {
      const grpc::Status created = Create();
      if (!created.ok()) INDUCT_RETURN_IF_ERROR(AfterBreak(created));
      if (!created.ok()) continue;
    }
    std::optional<v1::JobEvent> event;
    const grpc::Status ended = Watch(&event);
    if (event.has_value()) return *std::move(event);
    INDUCT_RETURN_IF_ERROR(AfterBreak(ended));
  }
}

grpc::Status JobStream::Create() {
  Call call(connection_, absl::InfiniteDuration());
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec_;
  v1::Job job;
  const grpc::Status status = connection_->jobs().CreateJob(call.context(), request, &job);
  if (!status.ok()) return status;
  ShowThatItGoesOn();
  SetJob(job.name());
  return status;
}

grpc::Status JobStream::Watch(std::optional<v1::JobEvent>* event) {
  if (reader_ == nullptr) {
    call_.emplace(connection_, absl::InfiniteDuration());
    v1::WatchJobRequest watch;
    watch.set_name(job());
    watch.set_after_sequence(last_sequence_);
    reader_ = connection_->jobs().WatchJob(call_->context(), watch);
  }
  v1::JobEvent read;
  while (reader_->Read(&read)) {
    ShowThatItGoesOn();
    if (!IsNews(read)) continue;
    *event = std::move(read);
    return grpc::Status::OK;
  }
  const grpc::Status status = reader_->Finish();
  reader_.reset();
  call_.reset();
  return status;
}

void JobStream::ShowThatItGoesOn() {
  backoff_.Reset();
  if (std::exchange(broken_, false)) notice_("connected again");
}

// Drops durable events that came before, and whatever belongs to an attempt that is over; remembers where the
// stream stands.
bool JobStream::IsNews(const v1::JobEvent& event) {
  if (event.has_sequence() && event.sequence() <= last_sequence_) return false;
  if (event.has_sequence()) last_sequence_ = event.sequence();
  if (event.attempt() < attempt_) return false;
  attempt_ = event.attempt();
  return true;
}

void JobStream::SetJob(const std::string& job) {
  bool cancel = false;
  {
    const absl::MutexLock lock(&mutex_);
    job_ = job;
    cancel = cancel_wanted_;
  }
  if (cancel) SendCancel(job);
}

absl::Status JobStream::AfterBreak(const grpc::Status& status) {
  if (connection_->abandoned()) return absl::CancelledError("given up");
  const bool broke =
      status.ok() || IsTransportError(status);  // OK without a terminal event is a server that went away
  if (!broke) return Refused(status);
  if (connection_->is_private() || backoff_.Exhausted()) return connection_->Lost(status, job());
  if (!std::exchange(broken_, true))
    notice_(absl::StrCat("lost the connection to ", connection_->address(), ", trying again"));
  if (!connection_->Sleep(backoff_.NextDelay())) return absl::CancelledError("given up");
  return absl::OkStatus();
}

absl::Status JobStream::Refused(const grpc::Status& status) const {
  const absl::Status error = FromGrpcStatus(status);
  const std::string name = job();
  if (!name.empty() && absl::IsNotFound(error)) {
    return WithExitCode(absl::NotFoundError(absl::StrCat(
                            "the server does not know ", name,
                            " any more: it was restarted or has forgotten it; run the command again")),
                        ExitCode::kJobFailed);
  }
  if (!name.empty()) return WithExitCode(Annotate(error, name), ExitCode::kJobFailed);
  switch (error.code()) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return WithExitCode(error, ExitCode::kBusy);
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return WithExitCode(error, ExitCode::kUsage);
    default:
      return error;
  }
}

void JobStream::Cancel() {
  std::string name;
  {
    const absl::MutexLock lock(&mutex_);
    cancel_wanted_ = true;
    name = job_;
  }
  if (!name.empty()) SendCancel(name);
}

void JobStream::SendCancel(const std::string& job) {
  Call call(connection_, kCancelTimeout);
  v1::CancelJobRequest request;
  request.set_name(job);
  v1::Job ignored;
  const grpc::Status status = connection_->jobs().CancelJob(call.context(), request, &ignored);
  if (!status.ok()) notice_(absl::StrCat("cannot cancel ", job, ": ", ShortCause(status)));
}

std::string JobStream::job() const {
  const absl::MutexLock lock(&mutex_);
  return job_;
}

}  // namespace induct::client
