// Cancellation, deadlines and the disconnect grace, in every state.
#include <gtest/gtest.h>

#include <atomic>

#include "common/status.h"
#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(20);

class SchedulerStopTest : public testing::Test {
 protected:
  void SetUp() override { Start({}); }
  void Start(const SchedulerOptions& options) {
    scheduler_ = Scheduler::Create(options, &store_, scripts_.factory());
  }

  // A script whose work runs until it is to stop, and then fails in its own way.
  Script UntilStopped(Gate* gate = nullptr) {
    return {.run = [gate](JobContext& context) -> absl::StatusOr<std::string> {
      if (gate != nullptr) gate->reached.Notify();
      AwaitStop(context);
      return absl::AbortedError("stopped in the middle");
    }};
  }
  // Submits work that holds the device until it is cancelled, and waits until it runs.
  std::string OccupyDevice() {
    scripts_.Set("busy", UntilStopped(&busy_));
    const std::string name = MustSubmit(*scheduler_, SpecOf("busy", "busy"));
    busy_.reached.WaitForNotification();
    return name;
  }
  StoredEvent LastEvent(const std::string& name) {
    return Reader(*scheduler_, name, "onlooker").ReadToEnd().back();
  }

  FakeStore store_;
  Scripts scripts_;
  Gate busy_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerStopTest, AQueuedJobIsCancelledAtOnce) {
  Start({.ready_per_device = 0});
  OccupyDevice();
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  EXPECT_EQ(scheduler_->Cancel(name)->state, JobState::kCancelled);
  EXPECT_EQ(store_.Get(name)->state, JobState::kCancelled);
  EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
  EXPECT_EQ(scheduler_->QueuePosition(name), std::nullopt);
}

TEST_F(SchedulerStopTest, APreparingJobIsCancelledWhenItsWorkReturnsWhateverItReturned) {
  for (const bool succeeds : {true, false}) {
    Gate gate;
    std::atomic<bool> ran = false;
    scripts_.Set("x", {.prepare =
                           [&](JobContext& context) {
                             gate.reached.Notify();
                             AwaitStop(context);
                             return succeeds ? absl::OkStatus() : absl::InternalError("broken off");
                           },
                       .run =
                           [&](JobContext&) {
                             ran = true;
                             return "done";
                           }});
    const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
    gate.reached.WaitForNotification();
    EXPECT_TRUE(scheduler_->Cancel(name).ok());
    EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
    EXPECT_FALSE(ran);
  }
}

TEST_F(SchedulerStopTest, AReadyJobIsCancelledAtOnceAndFreesWhatItHolds) {
  OccupyDevice();
  std::atomic<bool> destroyed = false;
  scripts_.Set("x", {.destroyed = [&] { destroyed = true; }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  const std::string next = MustSubmit(*scheduler_, SpecOf("next"));
  ASSERT_TRUE(Eventually([&] { return store_.Get(name)->state == JobState::kReady; }));
  EXPECT_EQ(scheduler_->counts().queued, 1u);
  // The state is stored just before the job is handed over; a cancellation in between is carried out by the
  // preparing thread.
  EXPECT_TRUE(scheduler_->Cancel(name).ok());
  EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
  EXPECT_TRUE(destroyed);
  EXPECT_TRUE(Eventually([&] { return store_.Get(next)->state == JobState::kReady; }))
      << "its place is free again";
}

TEST_F(SchedulerStopTest, AJobCancelledWhileItBecomesReadyDoesNotWaitForTheDevice) {
  OccupyDevice();
  Gate gate;
  scripts_.Set("x", {.prepare = [&](JobContext&) {
                 gate.Pass();
                 return absl::OkStatus();
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  store_.Block();
  gate.open.Notify();
  ASSERT_TRUE(store_.AwaitBlockedCalls(1, kPatience));  // storing that it is ready
  EXPECT_TRUE(scheduler_->Cancel(name).ok());
  store_.Unblock();
  EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
}

TEST_F(SchedulerStopTest, ARunningJobIsCancelledWhenItsWorkReturns) {
  const std::string name = OccupyDevice();
  EXPECT_EQ(scheduler_->Cancel(name)->spec.owner, "busy");
  EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
  EXPECT_EQ(store_.Get(name)->state, JobState::kCancelled);
}

TEST_F(SchedulerStopTest, WorkThatSucceedsBeforeItNoticesHasSucceeded) {
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext&) {
                 gate.Pass();
                 return "result";
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  EXPECT_EQ(scheduler_->Cancel(name)->state, JobState::kRunning);
  gate.open.Notify();
  EXPECT_EQ(LastEvent(name).payload, "result");
}

TEST_F(SchedulerStopTest, AnEndedJobStaysAsItIs) {
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  LastEvent(name);
  EXPECT_EQ(scheduler_->Cancel(name)->state, JobState::kSucceeded);
  EXPECT_EQ(store_.ReadEvents(name, 0, 1000)->size(), 2u);
}

TEST_F(SchedulerStopTest, StopCallbacksOfTheWorkMayCallTheScheduler) {
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext& context) -> absl::StatusOr<std::string> {
                 const std::stop_callback callback(context.stop(), [&] {
                   EXPECT_EQ(scheduler_->counts().running, 1u);
                   context.Show(0, "stopping");
                 });
                 gate.reached.Notify();
                 AwaitStop(context);
                 return absl::CancelledError();
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  gate.reached.WaitForNotification();
  EXPECT_TRUE(scheduler_->Cancel(name).ok());
  EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
}

TEST_F(SchedulerStopTest, AJobThatQueuesTooLongFailsWithItsDeadline) {
  Start({.ready_per_device = 0});
  OccupyDevice();
  JobSpec spec = SpecOf("x");
  spec.queue_deadline = kSoon;
  const StoredEvent last = LastEvent(MustSubmit(*scheduler_, spec));
  EXPECT_EQ(last.type, EventType::kFailed);
  EXPECT_EQ(last.error.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(last.error), reason::kDeadline);
}

TEST_F(SchedulerStopTest, AJobThatRunsTooLongFailsWithItsDeadline) {
  scripts_.Set("x", UntilStopped());
  JobSpec spec = SpecOf("x");
  spec.run_deadline = kSoon;
  const StoredEvent last = LastEvent(MustSubmit(*scheduler_, spec));
  EXPECT_EQ(last.error.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(last.error), reason::kDeadline);
}

TEST_F(SchedulerStopTest, AJobThatItsOwnerNeverWatchesIsCancelledAfterTheGrace) {
  Start({.disconnect_grace = kSoon});
  scripts_.Set("x", UntilStopped());
  // LastEvent watches as somebody else, which does not keep the job.
  EXPECT_EQ(LastEvent(MustSubmit(*scheduler_, SpecOf("x"))).type, EventType::kCancelled);
}

TEST_F(SchedulerStopTest, TheGraceBeginsWhenTheOwnersLastWatchCloses) {
  Start({.disconnect_grace = absl::Milliseconds(250)});  // enough for the watches to open on a busy machine
  Gate gate;
  scripts_.Set("x", UntilStopped(&gate));
  const std::string name = MustSubmit(*scheduler_, SpecOf("x"));
  auto first = std::make_unique<Reader>(*scheduler_, name);
  auto second = std::make_unique<Reader>(*scheduler_, name);
  first.reset();
  gate.reached.WaitForNotification();
  // A younger job that nobody watches is gone after its grace: this one is watched and stays.
  EXPECT_EQ(LastEvent(MustSubmit(*scheduler_, SpecOf("unwatched", "bob"))).type, EventType::kCancelled);
  EXPECT_EQ(store_.Get(name)->state, JobState::kRunning);
  second.reset();
  EXPECT_EQ(LastEvent(name).type, EventType::kCancelled);
}

TEST_F(SchedulerStopTest, AJobThatContinuesNeedsNobody) {
  Start({.disconnect_grace = absl::ZeroDuration()});
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext&) {
                 gate.Pass();
                 return "result";
               }});
  JobSpec spec = SpecOf("x");
  spec.on_disconnect = OnDisconnect::kContinue;
  const std::string name = MustSubmit(*scheduler_, spec);
  gate.reached.WaitForNotification();
  // By the time that a job without watches is gone, the timer has looked at this one as well.
  LastEvent(MustSubmit(*scheduler_, SpecOf("other")));
  gate.open.Notify();
  EXPECT_EQ(LastEvent(name).payload, "result");
}

}  // namespace
}  // namespace induct::jobs
