// ServerService: who the server is, and how it stands.
#include "absl/strings/str_cat.h"
#include "proto/contract.h"
#include "server/service/calls.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

// Of a client of ours, which names its user; other programs speak the contract that reflection tells them.
absl::Status CheckContract(const grpc::CallbackServerContext& call, const std::string& version) {
  const auto& metadata = call.client_metadata();
  if (!metadata.contains(kUserMetadata)) return absl::OkStatus();
  const auto contract = metadata.find(kContractMetadata);
  if (contract != metadata.end() && contract->second == absl::StrCat(kContract)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("this induct-client speaks another contract than induct-server ", version,
                   ": use the same version of both"));
}

}  // namespace

grpc::ServerUnaryReactor* ServerService::GetServerInfo(grpc::CallbackServerContext* call,
                                                       const v1::GetServerInfoRequest*,
                                                       v1::ServerInfo* response) {
  *response = context_.info;
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpcStatus(CheckContract(*call, context_.info.version())));
  return reactor;
}

grpc::ServerUnaryReactor* ServerService::GetServerStatus(grpc::CallbackServerContext* call,
                                                         const v1::GetServerStatusRequest*,
                                                         v1::ServerStatus* response) {
  return AnswerOn(*context_.pool, call, [this, response] {
    *response = context_.status();
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ServerService::Drain(grpc::CallbackServerContext* call, const v1::DrainRequest*,
                                               v1::DrainResponse*) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpcStatus(absl::UnimplementedError(
      "this version does not drain by a call, as it does not ask who calls: send SIGTERM to the server")));
  return reactor;
}

}  // namespace induct::service
