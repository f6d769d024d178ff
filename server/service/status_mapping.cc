#include "server/service/status_mapping.h"

#include "common/status.h"
#include "google/rpc/error_details.pb.h"

namespace induct::service {
namespace {

constexpr size_t kMaxMessageBytes =
    1200;  // it stands three times: the call's message, the details' message, a field violation
constexpr int64_t kRetrySeconds = 5;

// Cuts at a character's start, since protobuf strings must stay valid UTF-8.
std::string Shortened(std::string text) {
  if (text.size() <= kMaxMessageBytes) return text;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

bool MayBeTriedAgain(absl::StatusCode code) {
  return code == absl::StatusCode::kResourceExhausted || code == absl::StatusCode::kUnavailable;
}

}  // namespace

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int>(status.code()));
  rpc.set_message(Shortened(std::string(status.message())));
  if (status.ok()) return rpc;

  google::rpc::ErrorInfo info;
  info.set_reason(ReasonOrCode(status));
  info.set_domain("induct");
  rpc.add_details()->PackFrom(info);
  if (const std::string field = FieldOf(status); !field.empty()) {
    google::rpc::BadRequest bad;
    auto* violation = bad.add_field_violations();
    violation->set_field(field);
    violation->set_description(rpc.message());
    rpc.add_details()->PackFrom(bad);
  }
  if (MayBeTriedAgain(status.code())) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetrySeconds);
    rpc.add_details()->PackFrom(retry);
  }
  return rpc;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(rpc.code()), rpc.message(), rpc.SerializeAsString());
}

}  // namespace induct::service
