// What work may do, and how its end is recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

#include "common/status.h"
#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

using testing::HasSubstr;

class SchedulerRunTest : public testing::Test {
 protected:
  // Runs one job with this script to its end.
  std::vector<StoredEvent> RunToEnd(Script script) {
    scripts_.Set("x", std::move(script));
    name_ = MustSubmit(*scheduler_, SpecOf("x"));
    return Reader(*scheduler_, name_).ReadToEnd();
  }
  JobRecord Record() { return store_.Get(name_).value(); }

  FakeStore store_;
  Scripts scripts_;
  std::string name_;
  std::unique_ptr<Scheduler> scheduler_ = Scheduler::Create({}, &store_, scripts_.factory());
};

TEST_F(SchedulerRunTest, EventsAndArtifactsFollowEachOtherInTheLog) {
  const auto events = RunToEnd({.run = [](JobContext& context) -> absl::StatusOr<std::string> {
    EXPECT_TRUE(context.Emit("layer 0").ok());
    EXPECT_TRUE(context.PutArtifact("a.txt", "text/plain", "abc").ok());
    EXPECT_TRUE(context.Emit("layer 1").ok());
    EXPECT_EQ(context.record().state, JobState::kRunning);
    return "result";
  }});
  ASSERT_EQ(events.size(), 5u);
  const EventType types[] = {EventType::kAccepted, EventType::kOutput, EventType::kArtifact,
                             EventType::kOutput, EventType::kFinished};
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence, i + 1);
    EXPECT_EQ(events[i].attempt, 1u);
    EXPECT_EQ(events[i].type, types[i]);
  }
  EXPECT_EQ(events[0].payload, "accepted x");
  EXPECT_EQ(events[1].payload, "layer 0");
  // FIPS 180-2's example.
  EXPECT_EQ(events[2].artifact.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(events[2].artifact.size, 3u);
  EXPECT_EQ(events[4].payload, "result");
  EXPECT_EQ(store_.ReadArtifact(name_, "a.txt", events[2].artifact.sha256, 0, 9).value(), "abc");

  const JobRecord record = Record();
  EXPECT_EQ(record.state, JobState::kSucceeded);
  EXPECT_LE(record.created, record.preparing_since);
  EXPECT_LE(record.preparing_since, record.running_since);
  EXPECT_LE(record.running_since, record.finished);
}

TEST_F(SchedulerRunTest, AnErrorOfTheWorkFailsTheJobWithItsCodeAndReason) {
  const absl::Status error =
      WithReason(absl::InvalidArgumentError("row 3"), reason::kPromptTooLong, "prompts[3]");
  for (const bool while_preparing : {true, false}) {
    Script script;
    if (while_preparing) script.prepare = [&](JobContext&) { return error; };
    if (!while_preparing) script.run = [&](JobContext&) { return error; };
    EXPECT_EQ(RunToEnd(script).back().error, error);
    EXPECT_EQ(Record().state, JobState::kFailed);
    EXPECT_EQ(Record().error, error);
  }
}

TEST_F(SchedulerRunTest, AnExceptionFailsTheJobAndNothingElse) {
  const auto prepare =
      RunToEnd({.prepare = [](JobContext&) -> absl::Status { throw std::runtime_error("boom"); }});
  EXPECT_EQ(prepare.back().error.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(prepare.back().error.message()), HasSubstr("boom"));
  const auto run = RunToEnd({.run = [](JobContext&) -> absl::StatusOr<std::string> { throw 7; }});
  EXPECT_EQ(run.back().error.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(RunToEnd({}).back().type, EventType::kFinished);
}

TEST(SchedulerFactoryTest, ItsErrorsExceptionsAndNullsFailTheJob) {
  FakeStore store;
  const auto scheduler =
      Scheduler::Create({}, &store, [](const JobRecord& record) -> absl::StatusOr<std::unique_ptr<Work>> {
        if (record.spec.request == "throw") throw std::runtime_error("boom");
        if (record.spec.request == "null") return nullptr;
        return absl::UnimplementedError("unknown kind");
      });
  const auto code = [&](const std::string& request) {
    return Reader(*scheduler, MustSubmit(*scheduler, SpecOf(request))).ReadToEnd().back().error.code();
  };
  EXPECT_EQ(code("error"), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code("throw"), absl::StatusCode::kInternal);
  EXPECT_EQ(code("null"), absl::StatusCode::kInternal);
}

TEST_F(SchedulerRunTest, WorkIsDestroyedBeforeItsEndIsStored) {
  for (const bool fails_to_prepare : {false, true}) {
    std::string job;
    std::optional<JobState> state_at_destruction;
    Script script;
    script.prepare = [&](JobContext& context) {
      job = context.job_name();
      return fails_to_prepare ? absl::NotFoundError("no model") : absl::OkStatus();
    };
    script.destroyed = [&] { state_at_destruction = store_.Get(job)->state; };
    RunToEnd(std::move(script));
    EXPECT_EQ(state_at_destruction, fails_to_prepare ? JobState::kPreparing : JobState::kRunning);
  }
}

TEST_F(SchedulerRunTest, PassingEventsReachOpenWatchesNewestOfEachSlot) {
  Gate gate;
  scripts_.Set("x", {.run = [&](JobContext& context) {
                 gate.Pass();
                 context.Show(0, "10 %");
                 context.Show(1, "loading");
                 context.Show(0, "20 %");
                 EXPECT_TRUE(context.Emit("shown").ok());
                 return "done";
               }});
  Reader reader(*scheduler_, MustSubmit(*scheduler_, SpecOf("x")));
  gate.reached.WaitForNotification();
  reader.watch().TakePassing();
  gate.open.Notify();
  reader.ReadToEnd();
  const auto passing = reader.watch().TakePassing();
  ASSERT_EQ(passing.size(), 2u);
  EXPECT_EQ(passing[0].payload, "20 %");
  EXPECT_EQ(passing[1].payload, "loading");
  EXPECT_TRUE(reader.watch().TakePassing().empty());
}

}  // namespace
}  // namespace induct::jobs
