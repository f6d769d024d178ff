// Jobs' states as words.
#include "client/job_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace induct::client {
namespace {

using testing::ElementsAre;

TEST(JobTextTest, EveryStateIsAWordInLowerCaseAndComesBack) {
  EXPECT_THAT(StateWords(), ElementsAre("queued", "fetching", "preparing", "ready", "running", "finishing",
                                        "succeeded", "failed", "cancelled"));
  for (const std::string& word : StateWords()) {
    const auto state = ParseState(word);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(StateWord(*state), word);
  }
  EXPECT_EQ(StateWord(v1::Job::STATE_SUCCEEDED), "succeeded");
}

TEST(JobTextTest, AStateOfANewerServerIsToldByItsNumber) {
  EXPECT_EQ(StateWord(static_cast<v1::Job::State>(77)), "state 77");
}

TEST(JobTextTest, WhatIsNoStateIsRefused) {
  for (const char* word : {"", "unspecified", "STATE_QUEUED", "done"})
    EXPECT_EQ(ParseState(word).status().code(), absl::StatusCode::kInvalidArgument) << word;
}

TEST(JobTextTest, ANameIsTakenWithAndWithoutItsPrefix) {
  EXPECT_EQ(FullJobName("01A"), "jobs/01A");
  EXPECT_EQ(FullJobName("jobs/01A"), "jobs/01A");
}

}  // namespace
}  // namespace induct::client
