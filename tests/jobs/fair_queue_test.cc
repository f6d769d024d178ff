#include "server/jobs/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace induct::jobs {
namespace {

using testing::ElementsAre;

std::vector<std::string> PopAll(FairQueue queue) {
  std::vector<std::string> popped;
  while (const auto job = queue.Pop()) popped.push_back(*job);
  return popped;
}

TEST(FairQueueTest, OwnersTakeTurnsHoweverManyJobsOneHas) {
  FairQueue queue;
  for (const char* job : {"a1", "a2", "a3", "a4"}) queue.Push(job, "ada", 0);
  for (const char* job : {"b1", "b2"}) queue.Push(job, "bob", 0);
  queue.Push("c1", "cyd", 0);
  EXPECT_THAT(PopAll(queue), ElementsAre("a1", "b1", "c1", "a2", "b2", "a3", "a4"));
}

TEST(FairQueueTest, PriorityOrdersOneOwnersJobsAndNotOwners) {
  FairQueue queue;
  queue.Push("a-low", "ada", -1);
  queue.Push("b-low", "bob", -5);
  queue.Push("a-high", "ada", 7);
  queue.Push("a-mid-old", "ada", 0);
  queue.Push("a-mid-young", "ada", 0);
  EXPECT_THAT(PopAll(queue), ElementsAre("a-high", "b-low", "a-mid-old", "a-mid-young", "a-low"));
}

TEST(FairQueueTest, AnOwnerWhoseTurnIsOverWaitsForAllOthersEvenIfItsQueueWasEmptyMeanwhile) {
  FairQueue queue;
  queue.Push("a1", "ada", 0);
  queue.Push("b1", "bob", 0);
  queue.Push("b2", "bob", 0);
  EXPECT_EQ(queue.Pop(), "a1");
  queue.Push("a2", "ada", 0);
  EXPECT_THAT(PopAll(queue), ElementsAre("b1", "a2", "b2"));
}

TEST(FairQueueTest, RemovedJobsLeaveTheTurnsOfOthersAlone) {
  FairQueue queue;
  for (const char* job : {"a1", "a2"}) queue.Push(job, "ada", 0);
  for (const char* job : {"b1", "b2"}) queue.Push(job, "bob", 0);
  EXPECT_TRUE(queue.Remove("a1"));
  EXPECT_FALSE(queue.Remove("a1"));
  EXPECT_THAT(PopAll(queue), ElementsAre("a2", "b1", "b2"));
  EXPECT_TRUE(queue.Remove("a2"));
  EXPECT_TRUE(queue.Remove("b1"));
  EXPECT_TRUE(queue.Remove("b2"));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(FairQueueTest, OrderIsWhatPopReturns) {
  std::mt19937 random(7);
  FairQueue queue;
  for (int i = 0; i < 500; ++i) {
    if (random() % 3 != 0) {
      queue.Push("job" + std::to_string(i), "owner" + std::to_string(random() % 5), random() % 3);
    } else if (random() % 2 == 0) {
      queue.Pop();
    } else if (!queue.empty()) {
      queue.Remove(queue.Order()[random() % queue.size()]);
    }
    EXPECT_EQ(queue.Order(), PopAll(queue));
  }
}

}  // namespace
}  // namespace induct::jobs
