// A server that stops, and the one that comes after it.
#include <gtest/gtest.h>

#include <thread>

#include "common/status.h"
#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

const SchedulerOptions kQuick{
    .preparing_threads = 1, .ready_per_device = 0, .stop_grace = absl::Milliseconds(20)};

class SchedulerDrainTest : public testing::Test {
 protected:
  void Start() { scheduler_ = Scheduler::Create(kQuick, &store(), scripts_.factory()); }
  FakeStore& store() { return durable_ ? durable_store_ : store_; }

  // Submits work that passes the gate, and waits until it is there.
  std::string SubmitGated(Gate* gate) {
    scripts_.Set("gated", {.run = [gate](JobContext& context) -> absl::StatusOr<std::string> {
                   EXPECT_TRUE(context.Emit("before").ok());
                   gate->Pass();
                   return "done by attempt " + std::to_string(context.attempt());
                 }});
    const std::string name = MustSubmit(*scheduler_, SpecOf("gated"));
    gate->reached.WaitForNotification();
    return name;
  }
  std::string SubmitUntilStopped() {
    scripts_.Set("until stopped", {.run = [this](JobContext& context) -> absl::StatusOr<std::string> {
                   if (!running_.HasBeenNotified()) running_.Notify();
                   AwaitStop(context);
                   return absl::CancelledError("stopped");
                 }});
    const std::string name = MustSubmit(*scheduler_, SpecOf("until stopped"));
    running_.WaitForNotification();
    return name;
  }

  bool durable_ = false;
  FakeStore store_{/*durable=*/false};
  FakeStore durable_store_{/*durable=*/true};
  Scripts scripts_;
  absl::Notification running_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerDrainTest, LetsRunningWorkEndAndFailsWhatIsQueued) {
  Start();
  Gate gate;
  const std::string running = SubmitGated(&gate);
  const std::string queued = MustSubmit(*scheduler_, SpecOf("x"));
  Reader queued_reader(*scheduler_, queued);
  bool drained = false;
  std::thread drain([&] { drained = scheduler_->Drain(absl::InfiniteFuture()); });
  const StoredEvent last = queued_reader.ReadToEnd().back();
  EXPECT_EQ(last.error.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(last.error), reason::kDraining);
  EXPECT_EQ(ReasonOf(scheduler_->Submit(SpecOf("late")).status()), reason::kDraining);
  gate.open.Notify();
  drain.join();
  EXPECT_TRUE(drained);
  EXPECT_EQ(store().Get(running)->state, JobState::kSucceeded);
}

TEST_F(SchedulerDrainTest, StopsRunningWorkAtTheDeadline) {
  Start();
  const std::string name = SubmitUntilStopped();
  EXPECT_TRUE(scheduler_->Drain(absl::Now()));
  EXPECT_EQ(store().Get(name)->error.code(), absl::StatusCode::kUnavailable);
}

TEST_F(SchedulerDrainTest, DoesNotWaitForWorkThatHeedsNoToken) {
  Start();
  Gate gate;
  absl::Status late_emit;
  scripts_.Set("deaf", {.run = [&](JobContext& context) {
                 gate.Pass();
                 late_emit = context.Emit("too late");
                 return "done";
               }});
  const std::string name = MustSubmit(*scheduler_, SpecOf("deaf"));
  gate.reached.WaitForNotification();
  EXPECT_FALSE(scheduler_->Drain(absl::Now()));
  EXPECT_EQ(ReasonOf(store().Get(name)->error), reason::kDraining);
  gate.open.Notify();
  scheduler_.reset();
  EXPECT_EQ(late_emit.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store().ReadEvents(name, 0, 1000)->size(), 2u) << "accepted and failed, nothing after";
}

TEST_F(SchedulerDrainTest, WorksWhileAllPreparingThreadsAreBusy) {
  Start();
  absl::Notification preparing;
  scripts_.Set("slow", {.prepare = [&](JobContext& context) {
                 preparing.Notify();
                 AwaitStop(context);
                 return absl::CancelledError();
               }});
  const std::string slow = MustSubmit(*scheduler_, SpecOf("slow"));
  preparing.WaitForNotification();
  const std::string cancelled = MustSubmit(*scheduler_, SpecOf("x"));
  const std::string drained = MustSubmit(*scheduler_, SpecOf("y"));
  EXPECT_EQ(scheduler_->Cancel(cancelled)->state, JobState::kCancelled);
  EXPECT_TRUE(scheduler_->Drain(absl::InfiniteFuture()));
  EXPECT_EQ(ReasonOf(store().Get(drained)->error), reason::kDraining);
  EXPECT_EQ(ReasonOf(store().Get(slow)->error), reason::kDraining);
}

TEST_F(SchedulerDrainTest, PutsJobsBackWhereTheStoreIsDurableAndTheNextServerRunsThem) {
  durable_ = true;
  Start();
  const std::string running = SubmitUntilStopped();
  const std::string queued = MustSubmit(*scheduler_, SpecOf("x"));
  Reader watch_running(*scheduler_, running);
  Reader watch_queued(*scheduler_, queued);
  EXPECT_TRUE(scheduler_->Drain(absl::Now()));
  absl::Status error;
  const std::vector<StoredEvent> of_running = watch_running.ReadToEnd(&error);
  EXPECT_EQ(ReasonOf(error), reason::kDraining);
  ASSERT_EQ(of_running.size(), 2u) << "accepted, requeued";
  EXPECT_EQ(of_running[1].type, EventType::kRequeued);
  EXPECT_EQ(of_running[1].attempt, 1u);
  EXPECT_EQ(watch_queued.ReadToEnd(&error).size(), 1u) << "accepted";
  EXPECT_EQ(ReasonOf(error), reason::kDraining);
  Reader(*scheduler_, queued).ReadToEnd(&error);
  EXPECT_EQ(ReasonOf(error), reason::kDraining) << "a watch opened later is told the same";
  EXPECT_EQ(store().Get(running)->state, JobState::kQueued);
  EXPECT_EQ(store().Get(running)->running_since, absl::InfinitePast());

  scripts_.Set("until stopped", {});
  Start();
  const StoredEvent last = Reader(*scheduler_, running).ReadToEnd().back();
  EXPECT_EQ(last.type, EventType::kFinished);
  EXPECT_EQ(last.attempt, 2u);
  const StoredEvent last_of_queued = Reader(*scheduler_, queued).ReadToEnd().back();
  EXPECT_EQ(last_of_queued.type, EventType::kFinished);
  EXPECT_EQ(last_of_queued.attempt, 1u) << "it had not begun";
}

TEST(SchedulerDurableDrainTest, ACancellationIsNotLostInADrain) {
  FakeStore store(/*durable=*/true);
  Scripts scripts;
  Gate gate;
  scripts.Set("x", {.run = [&](JobContext& context) -> absl::StatusOr<std::string> {
                AwaitStop(context);
                gate.Pass();
                return absl::CancelledError();
              }});
  const auto scheduler = Scheduler::Create({.stop_grace = kPatience}, &store, scripts.factory());
  const std::string name = MustSubmit(*scheduler, SpecOf("x"));
  ASSERT_TRUE(Eventually([&] { return scheduler->counts().running == 1; }));
  std::thread drain([&] { EXPECT_TRUE(scheduler->Drain(absl::Now())); });
  gate.reached.WaitForNotification();  // stopped by the drain
  EXPECT_TRUE(scheduler->Cancel(name).ok());
  gate.open.Notify();
  drain.join();
  EXPECT_EQ(store.Get(name)->state, JobState::kCancelled);
}

TEST_F(SchedulerDrainTest, AfterACrashTheJobRunsAgainWithAHigherAttemptAndItsSequenceGoesOn) {
  durable_ = true;
  Start();
  Gate first;
  const std::string name = SubmitGated(&first);
  const std::string waiting = MustSubmit(*scheduler_, SpecOf("x"));
  store().FailWrites(absl::UnavailableError("crashed"));  // what a killed process no longer writes
  first.open.Notify();
  scheduler_.reset();
  store().FailWrites(absl::OkStatus());
  ASSERT_EQ(store().Get(name)->state, JobState::kRunning);

  scripts_.Set("gated", {.run = [](JobContext& context) -> absl::StatusOr<std::string> {
                 EXPECT_TRUE(context.Emit("again").ok());
                 return "done by attempt " + std::to_string(context.attempt());
               }});
  Start();
  const auto events = Reader(*scheduler_, name).ReadToEnd();
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[2].type, EventType::kRequeued);
  const uint32_t attempts[] = {1, 1, 1, 2, 2};
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence, i + 1);
    EXPECT_EQ(events[i].attempt, attempts[i]);
  }
  EXPECT_EQ(events.back().payload, "done by attempt 2");
  EXPECT_EQ(Reader(*scheduler_, waiting).ReadToEnd().back().type, EventType::kFinished);
}

}  // namespace
}  // namespace induct::jobs
