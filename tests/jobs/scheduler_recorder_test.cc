// What is told of jobs to whoever counts them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"
#include "tests/metrics/told.h"

namespace induct::jobs {
namespace {

using testing::ElementsAre;

class RecorderTest : public testing::Test {
 protected:
  void EndJob(const std::string& request) {
    Reader(*scheduler_, MustSubmit(*scheduler_, SpecOf(request))).ReadToEnd();
  }
  // Until the gate is opened.
  void OccupyDevice(Gate& gate) {
    scripts_.Set("busy", {.run = [&](JobContext&) {
                   gate.Pass();
                   return "done";
                 }});
    MustSubmit(*scheduler_, SpecOf("busy"));
    gate.reached.WaitForNotification();
  }
  // The end of a job is told after its watches have seen it.
  bool Tells(size_t n_lines) {
    return Eventually([&] { return told_.lines().size() >= n_lines; });
  }

  metrics::Told told_;
  FakeStore store_;
  Scripts scripts_;
  std::unique_ptr<Scheduler> scheduler_ =
      Scheduler::Create({.recorder = &told_}, &store_, scripts_.factory());
};

TEST_F(RecorderTest, AJobIsToldWhenItHasItsDeviceWhenItLetsGoAndHowItEnded) {
  scripts_.Set("fails", {.run = [](JobContext&) -> absl::StatusOr<std::string> {
                 return WithReason(absl::ResourceExhaustedError("x"), reason::kOutOfMemory);
               }});
  scripts_.Set("throws", {.run = [](JobContext&) -> absl::StatusOr<std::string> { throw 7; }});
  scripts_.Set("not prepared", {.prepare = [](JobContext&) { return absl::NotFoundError("no model"); }});
  EndJob("succeeds");
  ASSERT_TRUE(Tells(3));
  EndJob("fails");
  ASSERT_TRUE(Tells(6));
  EndJob("throws");
  ASSERT_TRUE(Tells(9));
  EndJob("not prepared");
  ASSERT_TRUE(Tells(10));
  const std::string kind = SpecOf("x").kind;
  EXPECT_THAT(
      told_.lines(),
      ElementsAre("started " + kind + " on 0", "stopped on 0", "ended " + kind + " succeeded",
                  "started " + kind + " on 0", "stopped on 0", "ended " + kind + " failed OUT_OF_MEMORY",
                  "started " + kind + " on 0", "stopped on 0", "ended " + kind + " failed INTERNAL",
                  "ended " + kind + " failed NOT_FOUND"));
}

TEST_F(RecorderTest, AJobThatIsCancelledInTheQueueHasEndedAndNeverStarted) {
  Gate gate;
  scripts_.Set("busy", {.prepare = [&](JobContext&) {
                 gate.Pass();
                 return absl::OkStatus();
               }});
  scheduler_ = Scheduler::Create({.preparing_threads = 1, .recorder = &told_}, &store_, scripts_.factory());
  const std::string busy = MustSubmit(*scheduler_, SpecOf("busy"));
  gate.reached.WaitForNotification();
  ASSERT_TRUE(scheduler_->Cancel(MustSubmit(*scheduler_, SpecOf("waits"))).ok());
  EXPECT_THAT(told_.lines(), ElementsAre("ended " + SpecOf("x").kind + " cancelled"));
  gate.open.Notify();
  Reader(*scheduler_, busy).ReadToEnd();
}

TEST_F(RecorderTest, WaitingForTheDeviceIsWaitingAndNotPreparing) {
  Gate gate;
  OccupyDevice(gate);
  const std::string waits = MustSubmit(*scheduler_, SpecOf("waits"));
  ASSERT_TRUE(Eventually([&] { return store_.Get(waits)->ready_since > absl::InfinitePast(); }));
  const absl::Time ready = store_.Get(waits)->ready_since;
  ASSERT_TRUE(Eventually([&] { return absl::Now() - ready > absl::Milliseconds(20); }));
  gate.open.Notify();
  Reader(*scheduler_, waits).ReadToEnd();

  const JobRecord record = store_.Get(waits).value();
  EXPECT_EQ(told_.prepared(), record.ready_since - record.preparing_since);
  EXPECT_EQ(told_.waited() + told_.prepared(), record.running_since - record.created);
  EXPECT_GE(told_.waited(), absl::Milliseconds(20));
}

TEST_F(RecorderTest, WhatIsPutBackForALaterServerHasNotEnded) {
  FakeStore durable(/*durable=*/true);
  Gate gate;
  scripts_.Set("busy", {.run = [&](JobContext& context) -> absl::StatusOr<std::string> {
                 gate.Pass();
                 AwaitStop(context);
                 return absl::CancelledError("stopped");
               }});
  metrics::Told told;
  const auto scheduler = Scheduler::Create({.recorder = &told}, &durable, scripts_.factory());
  MustSubmit(*scheduler, SpecOf("busy"));
  gate.reached.WaitForNotification();
  gate.open.Notify();
  ASSERT_TRUE(scheduler->Drain(absl::Now()));
  EXPECT_THAT(told.lines(), ElementsAre("started " + SpecOf("x").kind + " on 0", "stopped on 0"));
}

TEST_F(RecorderTest, JobsWaitUntilTheyRun) {
  EXPECT_EQ(scheduler_->waiting().jobs, 0);
  Gate gate;
  OccupyDevice(gate);
  EXPECT_EQ(scheduler_->waiting().jobs, 0);
  std::string last, first = MustSubmit(*scheduler_, SpecOf("waits"));
  for (int i = 0; i < 3; ++i) last = MustSubmit(*scheduler_, SpecOf("waits"));
  EXPECT_EQ(scheduler_->waiting().jobs, 4);
  EXPECT_EQ(scheduler_->waiting().oldest, store_.Get(first)->created);
  ASSERT_TRUE(scheduler_->Cancel(first).ok());
  EXPECT_TRUE(Eventually([&] { return scheduler_->waiting().jobs == 3; }));  // it may be in preparation
  EXPECT_GT(scheduler_->waiting().oldest, store_.Get(first)->created);
  gate.open.Notify();
  Reader(*scheduler_, last).ReadToEnd();
  EXPECT_TRUE(Eventually([&] { return scheduler_->waiting().jobs == 0; }));
}

}  // namespace
}  // namespace induct::jobs
