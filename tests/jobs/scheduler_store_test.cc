// A store that is slow or fails.
#include <gtest/gtest.h>

#include <thread>

#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

class SchedulerStoreTest : public testing::Test {
 protected:
  FakeStore store_;
  Scripts scripts_;
  std::unique_ptr<Scheduler> scheduler_ =
      Scheduler::Create({.ready_per_device = 0}, &store_, scripts_.factory());
};

TEST_F(SchedulerStoreTest, CallsOfStreamsDoNotWaitForABlockedStore) {
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext& context) {
                 gate.Pass();
                 EXPECT_TRUE(context.Emit("event").ok());
                 return "done";
               }});
  const std::string running = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  const std::string queued = MustSubmit(*scheduler_, SpecOf("y"));
  Reader reader(*scheduler_, queued);
  const auto nothing = reader.watch().TakePassing();

  store_.Block();
  gate.open.Notify();  // Emit blocks
  std::thread submit([&] { MustSubmit(*scheduler_, SpecOf("z")); });
  std::thread cancel([&] { EXPECT_TRUE(scheduler_->Cancel(queued).ok()); });
  EXPECT_TRUE(store_.AwaitBlockedCalls(1, kPatience));
  EXPECT_TRUE(Eventually([&] { return scheduler_->QueuePosition(queued) == std::nullopt; }))
      << "taken out, not yet stored";
  EXPECT_EQ(scheduler_->counts().running, 1u);
  reader.watch().TakePassing();
  store_.Unblock();
  submit.join();
  cancel.join();
  EXPECT_EQ(Reader(*scheduler_, running).ReadToEnd().size(), 3u);
}

TEST_F(SchedulerStoreTest, WorkMayShowProgressWhileTheStoreBlocks) {
  absl::Notification shown;
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext& context) {
                 gate.Pass();
                 std::thread emit([&] { EXPECT_TRUE(context.Emit("event").ok()); });
                 EXPECT_TRUE(store_.AwaitBlockedCalls(1, kPatience));
                 context.Show(0, "progress");
                 EXPECT_EQ(context.record().state, JobState::kRunning);
                 shown.Notify();
                 emit.join();
                 return "done";
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  Reader reader(*scheduler_, name);
  store_.Block();
  gate.open.Notify();
  EXPECT_TRUE(shown.WaitForNotificationWithTimeout(kPatience));
  EXPECT_TRUE(reader.AwaitPassing([](const PassingEvent& event) { return event.payload == "progress"; }));
  store_.Unblock();
  EXPECT_EQ(reader.ReadToEnd().size(), 3u);
}

TEST_F(SchedulerStoreTest, AJobThatCannotBeStoredIsNotAccepted) {
  store_.FailWrites(absl::UnavailableError("disk full"));
  EXPECT_EQ(scheduler_->Submit(SpecOf("x")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(scheduler_->counts().queued, 0u);
  store_.FailWrites(absl::OkStatus());
  EXPECT_EQ(Reader(*scheduler_, MustSubmit(*scheduler_, SpecOf("x"))).ReadToEnd().size(), 2u);
}

TEST_F(SchedulerStoreTest, AJobWhoseEndCannotBeStoredEndsAndItsWatchersAreTold) {
  Gate gate;
  absl::Status emitted;
  scripts_.Set("x", {.run = [&](JobContext& context) -> absl::StatusOr<std::string> {
                 gate.Pass();
                 emitted = context.Emit("event");
                 return emitted;
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  Reader reader(*scheduler_, name);
  store_.FailWrites(absl::UnavailableError("disk full"));
  gate.open.Notify();
  absl::Status error;
  EXPECT_EQ(reader.ReadToEnd(&error).size(), 1u) << "accepted";
  EXPECT_EQ(error.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(emitted.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Eventually([&] { return scheduler_->counts().running == 0; }));
  store_.FailWrites(absl::OkStatus());
  Reader(*scheduler_, name).ReadToEnd(&error);
  EXPECT_EQ(error.code(), absl::StatusCode::kInternal) << "a watch opened later is told the same";
  EXPECT_EQ(Reader(*scheduler_, MustSubmit(*scheduler_, SpecOf("y"))).ReadToEnd().size(), 2u)
      << "the device is free";
}

}  // namespace
}  // namespace induct::jobs
