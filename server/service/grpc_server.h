// The gRPC server: address, limits, health, reflection, shutting down.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/service/services.h"

namespace induct::service {

// Serves from Start to Shutdown. Safe for concurrent use.
class GrpcServer {
 public:
  // `listen`: "host:port" (port 0: chosen by the system), "unix:/path", or "fd:N", one connected socket of a
  // private client. Empty: only in-process channels. INVALID_ARGUMENT for an address that is none,
  // UNAVAILABLE where it is in use or can't be bound.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const std::string& listen,
                                                           const ServiceContext& context);

  // As clients reach it: "127.0.0.1:43211", "unix:/path", "fd:3".
  const std::string& address() const { return address_; }
  grpc::Server& server() { return *server_; }

  // What grpc.health.v1 answers from now on.
  void SetServing(bool serving);
  // Takes no new calls, ends what runs at the deadline, returns when all is over.
  void Shutdown(absl::Time deadline);

 private:
  explicit GrpcServer(const ServiceContext& context)
      : analysis_(context), jobs_(context), models_(context), info_(context) {}

  std::string address_;
  AnalysisService analysis_;
  JobService jobs_;
  ModelService models_;
  ServerService info_;
  std::unique_ptr<grpc::Server> server_;
};

// The N of "fd:N"; -1 for other addresses.
int ListenFd(const std::string& listen);

// Whether a "host:port" address is one of loopback, so that no other machine reaches it.
bool IsLoopback(const std::string& address);

}  // namespace induct::service
