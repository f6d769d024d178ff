#include "client/connection.h"

#include <pwd.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/address.h"
#include "client/exit_code.h"
#include "client/rpc_error.h"
#include "common/status.h"
#include "common/version.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/create_channel_posix.h"
#include "grpcpp/security/credentials.h"
#include "proto/contract.h"

namespace induct::client {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
constexpr absl::Duration kPrivateStartTimeout =
    absl::Seconds(120);                                // a server may load models before it answers
constexpr int kMaxSendBytes = (64 << 20) + (1 << 16);  // a request of 64 MiB and its framing
constexpr int kMaxReceiveBytes = 8 << 20;
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

grpc::ChannelArguments ChannelOptions(bool is_private) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(kMaxSendBytes);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // Servers stand in the lab's own network: a proxy for the web is not the way to them.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (is_private)
    return arguments;  // its death closes the socket; a ping would only end one that starts slowly
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  return arguments;
}

// For the server's fairness between users; metadata carries printable ASCII only.
std::string UserName() {
  const char* variable = std::getenv("USER");
  const passwd* entry = variable == nullptr ? getpwuid(getuid()) : nullptr;
  std::string name = variable != nullptr ? variable
                     : entry != nullptr  ? entry->pw_name
                                         : absl::StrCat("uid-", getuid());
  for (char& c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

absl::Status CheckContract(const v1::ServerInfo& server) {
  if (server.contract() == kContract) return absl::OkStatus();
  return WithExitCode(absl::FailedPreconditionError(absl::StrCat(
                          "this server speaks another contract (induct-server ", server.version(),
                          ", this is induct-client ", kVersion, "): use the same version of both")),
                      ExitCode::kUsage);
}

}  // namespace

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& target) {
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), ChannelOptions(false));
}

absl::Status CannotReach(const std::string& target, const grpc::Status& cause) {
  return WithExitCode(
      absl::UnavailableError(absl::StrCat("cannot reach ", target, ": ", ShortCause(cause),
                                          "; is induct-server running there? (--server, INDUCT_SERVER)")),
      ExitCode::kUnreachable);
}

absl::Status AnswersOtherwise(const std::string& target, const grpc::Status& answer) {
  return WithExitCode(
      Annotate(FromGrpcStatus(answer), absl::StrCat(target, " does not answer as an induct-server")),
      ExitCode::kUnreachable);
}

Call::Call(Connection* connection, absl::Duration timeout) : connection_(connection) {
  static const std::string* const kUser = new std::string(UserName());
  context_.AddMetadata(kUserMetadata, *kUser);
  context_.AddMetadata(kContractMetadata, absl::StrCat(kContract));
  if (timeout < absl::InfiniteDuration()) {
    context_.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  }
  const absl::MutexLock lock(&connection_->mutex_);
  connection_->open_calls_.insert(&context_);
  if (connection_->abandoned_) context_.TryCancel();
}

Call::~Call() {
  const absl::MutexLock lock(&connection_->mutex_);
  connection_->open_calls_.erase(&context_);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& address,
                                                             const std::string& settings_file,
                                                             const RetryPolicy& retry) {
  std::unique_ptr<PrivateServer> server;
  std::shared_ptr<grpc::Channel> channel;
  std::string target;
  if (address.empty()) {
    INDUCT_ASSIGN_OR_RETURN(server, PrivateServer::Start(settings_file));
    target = "the server started for this run";
    channel =
        grpc::CreateCustomInsecureChannelFromFd("induct-server", server->TakeSocket(), ChannelOptions(true));
  } else {
    INDUCT_ASSIGN_OR_RETURN(target, ParseAddress(address));
    channel = ChannelTo(target);
  }
  auto connection = std::make_unique<Connection>(std::move(channel), target, std::move(server), retry);
  INDUCT_RETURN_IF_ERROR(connection->AskServerInfo());
  return connection;
}

Connection::Connection(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                       std::unique_ptr<PrivateServer> server, const RetryPolicy& retry)
    : server_(std::move(server)),
      address_(address),
      retry_(retry),
      analysis_(v1::AnalysisService::NewStub(channel)),
      jobs_(v1::JobService::NewStub(channel)),
      models_(v1::ModelService::NewStub(channel)),
      server_stub_(v1::ServerService::NewStub(channel)) {}

Connection::~Connection() = default;

absl::Status Connection::AskServerInfo() {
  Call call(this, is_private() ? kPrivateStartTimeout : kConnectTimeout);
  const grpc::Status status =
      server_stub_->GetServerInfo(call.context(), v1::GetServerInfoRequest(), &server_info_);
  if (status.ok()) return CheckContract(server_info_);
  const bool nobody = IsTransportError(status) || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  return nobody ? Lost(status) : AnswersOtherwise(address_, status);
}

void Connection::Abandon() {
  const absl::MutexLock lock(&mutex_);
  abandoned_ = true;
  for (grpc::ClientContext* context : open_calls_) context->TryCancel();
}

bool Connection::abandoned() const {
  const absl::MutexLock lock(&mutex_);
  return abandoned_;
}

bool Connection::Sleep(absl::Duration duration) {
  const absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&abandoned_), duration);
}

absl::Status Connection::Lost(const grpc::Status& cause, const std::string& job) const {
  std::string message;
  if (server_ != nullptr) {
    const std::string log = server_->LastLogLines();
    message = absl::StrCat("the server started for this run ended: ", ShortCause(cause),
                           log.empty() ? "" : "\nits last log lines:\n", log);
  } else {
    message = std::string(CannotReach(address_, cause).message());
    if (!job.empty())
      absl::StrAppend(&message, "\n", job,
                      " may be lost; `induct-client jobs` tells once the server is back");
  }
  return WithExitCode(absl::UnavailableError(message), ExitCode::kUnreachable);
}

}  // namespace induct::client
