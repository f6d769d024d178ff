#include "server/service/kinds/kinds.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "proto/message_json.h"

namespace induct::service {
namespace {

const JobKind* const kKinds[] = {&kProfileKind,    &kCrossSizeKind, &kNullsKind,  &kCausalKind,
                                 &kLagBucketsKind, &kPatternKind,   &kTargetsKind};

}  // namespace

std::span<const JobKind* const> JobKinds() { return kKinds; }

const JobKind* FindKind(std::string_view name) {
  const auto kind = std::ranges::find(kKinds, name, [](const JobKind* each) { return each->name; });
  return kind == std::end(kKinds) ? nullptr : *kind;
}

absl::StatusOr<runs::EncodedResult> Encode(const google::protobuf::Message& result) {
  INDUCT_ASSIGN_OR_RETURN(std::string json, ToJson(result));
  v1::JobResult message;
  const google::protobuf::OneofDescriptor* results = message.GetDescriptor()->FindOneofByName("result");
  for (int i = 0; i < results->field_count(); ++i) {
    if (results->field(i)->message_type() != result.GetDescriptor()) continue;
    message.GetReflection()->MutableMessage(&message, results->field(i))->CopyFrom(result);
  }
  return runs::EncodedResult{.json = std::move(json), .message = message.SerializeAsString()};
}

}  // namespace induct::service
