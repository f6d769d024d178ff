#include "client/rpc_error.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/exit_code.h"
#include "common/settings.h"
#include "common/status.h"
#include "google/rpc/error_details.pb.h"

namespace induct::client {

std::string DescribeField(const std::string& field, const std::string& description) {
  const absl::string_view path = absl::StripPrefix(field, "run.");
  const SettingKey* key = FindSettingKey(std::string_view(path.data(), path.size()));
  const std::string name = key != nullptr     ? absl::StrCat("--", SettingFlag(*key))
                           : field == "model" ? "--model"
                                              : field;
  absl::string_view text = description;
  absl::ConsumePrefix(&text, absl::StrCat(field, ": "));
  return absl::StrCat(name, ": ", text);
}

absl::Status FromRpcStatus(const google::rpc::Status& status) {
  if (status.code() == 0) return absl::OkStatus();
  std::vector<std::string> sentences;
  std::string reason;
  std::string field;
  for (const google::protobuf::Any& detail : status.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    if (detail.UnpackTo(&info)) reason = info.reason();
    if (!detail.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations()) {
      field = violation.field();
      sentences.push_back(DescribeField(field, violation.description()));
    }
  }
  const std::string message = sentences.empty() ? status.message() : absl::StrJoin(sentences, "\n");
  const absl::Status error =
      WithReason(absl::Status(static_cast<absl::StatusCode>(status.code()), message), reason, field);
  const bool of_hub = reason == reason::kHubUnreachable || reason == reason::kHubUnavailable;
  return of_hub ? WithExitCode(error, ExitCode::kHubUnusable) : error;
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details()) &&
      details.code() != 0) {
    return FromRpcStatus(details);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::string ShortCause(const grpc::Status& status) {
  const std::string& text = status.error_message();
  if (text.empty()) return "it closed the connection";
  const std::string lower = absl::AsciiStrToLower(text);
  for (const char* word : {"timeout", "timed out", "deadline"}) {
    if (absl::StrContains(lower, word)) return "timed out";
  }
  if (absl::StrContains(text, "DNS resolution failed")) return "name not known";
  const bool of_socket = absl::StrContains(text, "failed to connect") || absl::StrContains(text, "recvmsg");
  if (!of_socket) return text;
  return std::string(absl::StripAsciiWhitespace(text.substr(text.rfind(':') + 1)));  // the system's own words
}

bool IsTransportError(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return ReasonOf(FromGrpcStatus(status)) != reason::kDraining;
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::CANCELLED:
      return status.error_details().empty();
    default:
      return false;
  }
}

}  // namespace induct::client
