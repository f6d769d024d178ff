#include <gtest/gtest.h>

#include <atomic>

#include "common/status.h"
#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

class SchedulerWatchTest : public testing::Test {
 protected:
  FakeStore store_;
  Scripts scripts_;
  std::unique_ptr<Scheduler> scheduler_ = Scheduler::Create({}, &store_, scripts_.factory());
};

TEST_F(SchedulerWatchTest, OneThatAttachesAnywhereReadsTheRestWithoutGapOrRepeat) {
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext& context) {
                 for (int i = 0; i < 20; ++i) EXPECT_TRUE(context.Emit("event " + std::to_string(i)).ok());
                 gate.Pass();
                 for (int i = 20; i < 40; ++i) EXPECT_TRUE(context.Emit("event " + std::to_string(i)).ok());
                 return "done";
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  std::vector<std::unique_ptr<Reader>> readers;
  for (uint64_t after : {0, 1, 10, 20, 21})
    readers.push_back(std::make_unique<Reader>(*scheduler_, name, "ada", after));
  gate.open.Notify();
  size_t i = 0;
  for (uint64_t after : {0, 1, 10, 20, 21}) {
    const auto events = readers[i++]->ReadToEnd();
    ASSERT_EQ(events.size(), 42 - after);
    for (const StoredEvent& event : events) EXPECT_EQ(event.sequence, ++after);
  }
}

TEST_F(SchedulerWatchTest, OneOfAnEndedJobReadsItsLogToTheEnd) {
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  Reader(*scheduler_, name).ReadToEnd();
  Reader again(*scheduler_, name);
  EXPECT_EQ(again.ReadToEnd().size(), 2u);
  const auto after_the_end = again.watch().ReadPage(100);
  ASSERT_TRUE(after_the_end.ok());
  EXPECT_TRUE(after_the_end->empty());
}

TEST_F(SchedulerWatchTest, OneThatBeganAfterTheLastEventIsToldThatNothingFollows) {
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  Reader(*scheduler_, name).ReadToEnd();
  ASSERT_TRUE(Eventually([&] { return scheduler_->counts().running == 0; }));
  absl::Status error;
  EXPECT_TRUE(Reader(*scheduler_, name, "ada", 2).ReadToEnd(&error).empty());
  EXPECT_EQ(error.code(), absl::StatusCode::kOutOfRange);
}

TEST_F(SchedulerWatchTest, UnknownJobsAndSequencesAreRefused) {
  EXPECT_EQ(ReasonOf(scheduler_->OpenWatch("jobs/x", "ada", 0, [] {}).status()), reason::kJobNotFound);
  EXPECT_EQ(ReasonOf(scheduler_->Cancel("jobs/x").status()), reason::kJobNotFound);
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  Reader(*scheduler_, name).ReadToEnd();
  EXPECT_EQ(scheduler_->OpenWatch(name, "ada", 3, [] {}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(SchedulerWatchTest, WakeIsNeverCalledAfterTheWatchIsClosed) {
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext& context) {
                 gate.Pass();
                 context.Show(0, "progress");
                 EXPECT_TRUE(context.Emit("event").ok());
                 return "done";
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  std::atomic<int> wakes = 0;
  auto watch = scheduler_->OpenWatch(name, "ada", 0, [&] { ++wakes; });
  ASSERT_TRUE(watch.ok());
  Reader other(*scheduler_, name);
  watch->reset();
  const int before = wakes;
  gate.open.Notify();
  other.ReadToEnd();
  EXPECT_GT(before, 0) << "opening wakes";
  EXPECT_EQ(wakes, before);
}

TEST_F(SchedulerWatchTest, OneMayOutliveTheScheduler) {
  scripts_.Set("x", {.run = [](JobContext& context) -> absl::StatusOr<std::string> {
                 AwaitStop(context);
                 return absl::CancelledError();
               }});
  Reader reader(*scheduler_, MustSubmit(*scheduler_, SpecOf("x")));
  reader.ReadAtLeast(1);
  scheduler_.reset();
  const auto rest = reader.ReadToEnd();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(ReasonOf(rest[0].error), reason::kDraining);
}

}  // namespace
}  // namespace induct::jobs
