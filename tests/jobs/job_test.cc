#include "server/jobs/job.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "server/jobs/scheduler.h"

namespace induct::jobs {
namespace {

// One row a state: from it, which of queued, preparing, ready, running, succeeded, failed, cancelled may
// follow.
constexpr const char* kAllowed[] = {
    ".p...fc",  // queued
    "q.r..fc",  // preparing
    "q..r.fc",  // ready
    "q...sfc",  // running
    ".......",  // succeeded
    ".......",  // failed
    ".......",  // cancelled
};

TEST(JobStateTest, ChangesOnlyAlongTheTable) {
  for (int from = 0; from < 7; ++from) {
    for (int to = 0; to < 7; ++to) {
      EXPECT_EQ(CanChange(JobState(from), JobState(to)), kAllowed[from][to] != '.')
          << JobStateName(JobState(from)) << " to " << JobStateName(JobState(to));
    }
  }
}

TEST(JobStateTest, TerminalStatesAreThoseThatNothingFollows) {
  for (int state = 0; state < 7; ++state) {
    EXPECT_EQ(IsTerminal(JobState(state)), std::string(kAllowed[state]) == ".......")
        << JobStateName(JobState(state));
  }
}

TEST(JobStateTest, NamesAreDistinctLowerCaseWords) {
  std::set<std::string> names;
  for (int state = 0; state < 7; ++state) {
    const std::string name(JobStateName(JobState(state)));
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), std::string::npos) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 7u);
}

TEST(JobNameTest, HoldsTheTimeAsInTheUlidSpecification) {
  // The specification's own example: 1469918176385 ms is "01ARYZ6S41" in front.
  const std::string name = NewJobName(absl::FromUnixMillis(1469918176385));
  EXPECT_EQ(name.substr(0, 15), "jobs/01ARYZ6S41");
  EXPECT_EQ(name.size(), 31u);
  EXPECT_EQ(name.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 5), std::string::npos) << name;
}

TEST(JobNameTest, NamesOfOneMillisecondRiseInTheOrderOfTheirMaking) {
  const absl::Time now = absl::FromUnixMillis(1700000000000);
  std::string last = NewJobName(now);
  for (int i = 0; i < 1000; ++i) {
    const std::string next = NewJobName(now);
    EXPECT_LT(last, next);
    last = next;
  }
  EXPECT_LT(last, NewJobName(now + absl::Milliseconds(1)));
}

}  // namespace
}  // namespace induct::jobs
