#include "server/service/grpc_server.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_posix.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::service {
namespace {

constexpr int kSecond = 1000;

void SetLimits(const ServiceContext& context, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(context.info.limits().max_request_bytes()));
  // A frozen client is noticed by keepalive only; its stream then counts as closed.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30 * kSecond);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * kSecond);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10 * kSecond);
  // Nobody needs compression here, and a request of a few bytes could unpack to gigabytes before its size is
  // looked at.
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // Otherwise a second server on the same port would start and take half of the calls.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

absl::Status CheckAddress(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  const bool unix_path = listen.starts_with("unix:") && listen.size() > 5;
  const bool host_port = colon != std::string::npos && colon > 0 &&
                         absl::SimpleAtoi(listen.substr(colon + 1), &port) && port >= 0 && port < 65536;
  if (unix_path || host_port || ListenFd(listen) >= 0) return absl::OkStatus();
  return InvalidField("listen",
                      absl::StrCat("\"", listen, "\" given; host:port, unix:/path or fd:N is needed"));
}

}  // namespace

int ListenFd(const std::string& listen) {
  int fd = -1;
  return listen.starts_with("fd:") && absl::SimpleAtoi(listen.substr(3), &fd) && fd >= 0 ? fd : -1;
}

bool IsLoopback(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const std::string& listen,
                                                              const ServiceContext& context) {
  if (!listen.empty()) INDUCT_RETURN_IF_ERROR(CheckAddress(listen));
  const int fd = ListenFd(listen);
  if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
    return InvalidField("listen", absl::StrCat(listen, " is not an open socket"));
  }

  std::unique_ptr<GrpcServer> self(new GrpcServer(context));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(context, &builder);
  for (grpc::Service* service :
       {static_cast<grpc::Service*>(&self->analysis_), static_cast<grpc::Service*>(&self->jobs_),
        static_cast<grpc::Service*>(&self->models_), static_cast<grpc::Service*>(&self->info_)}) {
    builder.RegisterService(service);
  }
  int port = 0;
  const bool listens = fd < 0 && !listen.empty();
  if (listens) builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  self->server_ = builder.BuildAndStart();
  if (self->server_ == nullptr || (listens && port == 0)) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, ": the address is in use or not this machine's"));
  }
  if (fd >= 0) grpc::AddInsecureChannelFromFd(self->server_.get(), fd);
  self->address_ = listens && !listen.starts_with("unix:")
                       ? absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port)
                       : listen;
  self->SetServing(true);
  return self;
}

void GrpcServer::SetServing(bool serving) { server_->GetHealthCheckService()->SetServingStatus(serving); }

void GrpcServer::Shutdown(absl::Time deadline) { server_->Shutdown(absl::ToChronoTime(deadline)); }

}  // namespace induct::service
