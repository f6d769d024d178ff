#include "common/status.h"

#include <gtest/gtest.h>

namespace induct {
namespace {

TEST(Status, AnnotatingKeepsCodeReasonAndField) {
  const absl::Status status =
      Annotate(WithReason(absl::NotFoundError("no such thing"), reason::kModelNotFound, "model"), "here");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "here: no such thing");
  EXPECT_EQ(ReasonOf(status), "MODEL_NOT_FOUND");
  EXPECT_EQ(FieldOf(status), "model");
}

TEST(Status, OkStaysOk) {
  EXPECT_TRUE(Annotate(absl::OkStatus(), "here").ok());
  EXPECT_TRUE(WithReason(absl::OkStatus(), reason::kModelNotFound).ok());
}

}  // namespace
}  // namespace induct
