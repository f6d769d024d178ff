#include "server/service/status_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "google/rpc/error_details.pb.h"

namespace induct::service {
namespace {

TEST(StatusMapping, CarriesReasonFieldAndRetryDelay) {
  const google::rpc::Status rpc = ToRpcStatus(InvalidField("evaluation.high_score_quantile", "1 given"));
  EXPECT_EQ(rpc.code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_EQ(rpc.details_size(), 2);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(rpc.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_EQ(info.domain(), "induct");
  google::rpc::BadRequest bad;
  ASSERT_TRUE(rpc.details(1).UnpackTo(&bad));
  EXPECT_EQ(bad.field_violations(0).field(), "evaluation.high_score_quantile");

  const google::rpc::Status busy =
      ToRpcStatus(WithReason(absl::ResourceExhaustedError("full"), reason::kQueueFull));
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(busy.details(busy.details_size() - 1).UnpackTo(&retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
}

TEST(StatusMapping, MessageAndDetailsStayBelowFourKiB) {
  std::string text;
  while (text.size() < 20000) text += "\xc3\xa9";
  const grpc::Status status = ToGrpcStatus(InvalidField("prompts.task_types", text));
  EXPECT_LT(status.error_message().size() + status.error_details().size(), 4096);
  google::rpc::Status parsed;
  EXPECT_TRUE(
      parsed.ParseFromString(status.error_details()));  // fails where a character was cut in the middle
}

TEST(StatusMapping, OkIsOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

}  // namespace
}  // namespace induct::service
