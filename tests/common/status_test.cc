#include "common/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

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

TEST(Status, WithoutAReasonTheCodeSaysWhatHappened) {
  EXPECT_EQ(ReasonOrCode(WithReason(absl::NotFoundError("x"), reason::kModelNotFound)), "MODEL_NOT_FOUND");
  EXPECT_EQ(ReasonOrCode(absl::InternalError("x")), "INTERNAL");
}

TEST(Status, TheListOfReasonsHasEachOfThem) {
  std::ifstream header(INDUCT_SOURCE_DIR "/common/status.h");
  std::vector<std::string> words;
  for (std::string line; std::getline(header, line);) {
    const size_t begin = line.find("[] = \"");
    if (begin != std::string::npos) words.push_back(line.substr(begin + 6, line.rfind('"') - begin - 6));
  }
  EXPECT_THAT(words, testing::ElementsAreArray(reason::kAll));
}

TEST(Status, OkStaysOk) {
  EXPECT_TRUE(Annotate(absl::OkStatus(), "here").ok());
  EXPECT_TRUE(WithReason(absl::OkStatus(), reason::kModelNotFound).ok());
}

}  // namespace
}  // namespace induct
