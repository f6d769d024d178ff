// What is accepted, and in which order it starts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/status.h"
#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

using testing::ElementsAre;

// A scheduler whose one device is taken by a job until the test opens the gate.
class BusySchedulerTest : public testing::Test {
 protected:
  void Start(SchedulerOptions options = {}) {
    options.preparing_threads = 1;
    options.ready_per_device = 0;
    scripts_.Set("busy", {.run = [this](JobContext&) {
                   gate_.Pass();
                   return "done";
                 }});
    scheduler_ = Scheduler::Create(options, &store_, scripts_.factory());
    MustSubmit(*scheduler_, SpecOf("busy", "busy"));
    gate_.reached.WaitForNotification();
  }
  void TearDown() override {
    if (!gate_.open.HasBeenNotified()) gate_.open.Notify();
  }

  // Makes the request's work note that it has begun.
  void NoteStart(const std::string& request) {
    scripts_.Set(request, {.run = [this, request](JobContext&) {
                   absl::MutexLock lock(&mutex_);
                   started_.push_back(request);
                   return "done";
                 }});
  }

  FakeStore store_;
  Scripts scripts_;
  Gate gate_;
  absl::Mutex mutex_;
  std::vector<std::string> started_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Scheduler> scheduler_;  // last: ends before what its work uses
};

TEST_F(BusySchedulerTest, OwnersTakeTurnsAndPositionsSayTheOrder) {
  Start();
  std::map<std::string, std::string> names;
  for (const auto& [request, owner, priority] : std::vector<std::tuple<std::string, std::string, int>>{
           {"a1", "ada", 0}, {"a2", "ada", 0}, {"a3", "ada", 5}, {"b1", "bob", 0}}) {
    NoteStart(request);
    JobSpec spec = SpecOf(request, owner);
    spec.priority = priority;
    names[request] = MustSubmit(*scheduler_, spec);
  }
  EXPECT_EQ(scheduler_->QueuePosition(names["a3"]), 0u);
  EXPECT_EQ(scheduler_->QueuePosition(names["b1"]), 1u);
  EXPECT_EQ(scheduler_->QueuePosition(names["a1"]), 2u);
  EXPECT_EQ(scheduler_->QueuePosition(names["a2"]), 3u);
  EXPECT_EQ(scheduler_->QueuePosition("jobs/unknown"), std::nullopt);
  EXPECT_EQ(scheduler_->counts().queued, 4u);
  EXPECT_EQ(scheduler_->counts().running, 1u);

  gate_.open.Notify();
  for (const auto& [request, name] : names) Reader(*scheduler_, name).ReadToEnd();
  absl::MutexLock lock(&mutex_);
  EXPECT_THAT(started_, ElementsAre("a3", "b1", "a1", "a2"));
}

TEST_F(BusySchedulerTest, WatchersSeeTheirPositionAndEachChangeOfIt) {
  Start();
  const std::string first = MustSubmit(*scheduler_, SpecOf("first"));
  const std::string second = MustSubmit(*scheduler_, SpecOf("second"));
  Reader reader(*scheduler_, second);
  const auto at = [](uint32_t position) {
    return
        [position](const PassingEvent& e) { return e.slot == kQueuedSlot && e.queue_position == position; };
  };
  EXPECT_TRUE(reader.AwaitPassing(at(1)));
  ASSERT_TRUE(scheduler_->Cancel(first).ok());
  EXPECT_TRUE(reader.AwaitPassing(at(0)));
}

TEST_F(BusySchedulerTest, RequestsThatTogetherTakeTooManyBytesAreRefused) {
  Start({.max_queued_bytes = 1000});
  const std::string first = MustSubmit(*scheduler_, SpecOf(std::string(600, 'x')));
  const absl::Status full = scheduler_->Submit(SpecOf(std::string(600, 'y'))).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(full), reason::kQueueFull);
  ASSERT_TRUE(scheduler_->Cancel(first).ok());
  EXPECT_TRUE(scheduler_->Submit(SpecOf(std::string(600, 'y'))).ok());
}

TEST_F(BusySchedulerTest, AFullQueueAndAUsedQuotaRefuseWithTheirReasons) {
  Start({.max_queued = 3, .max_queued_per_owner = 2});
  const std::string first = MustSubmit(*scheduler_, SpecOf("x"));
  MustSubmit(*scheduler_, SpecOf("x"));
  const absl::Status quota = scheduler_->Submit(SpecOf("x")).status();
  EXPECT_EQ(quota.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(quota), reason::kQuotaUsed);
  MustSubmit(*scheduler_, SpecOf("x", "bob"));
  EXPECT_EQ(ReasonOf(scheduler_->Submit(SpecOf("x", "cyd")).status()), reason::kQueueFull);
  ASSERT_TRUE(scheduler_->Cancel(first).ok());
  EXPECT_TRUE(scheduler_->Submit(SpecOf("x", "cyd")).ok());
}

TEST_F(BusySchedulerTest, ARequestIdMakesOneJobPerOwner) {
  Start();
  JobSpec spec = SpecOf("x");
  spec.request_id = "id";
  const std::string name = MustSubmit(*scheduler_, spec);
  EXPECT_EQ(MustSubmit(*scheduler_, spec), name);
  JobSpec other = spec;
  other.owner = "bob";
  EXPECT_NE(MustSubmit(*scheduler_, other), name);
  other = spec;
  other.request = "the same with other defaults filled in";
  EXPECT_EQ(MustSubmit(*scheduler_, other), name);
  other.request_sha256 = "of another";
  EXPECT_EQ(scheduler_->Submit(other).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(scheduler_->Submit(other).status()), reason::kRequestIdReused);
}

TEST_F(BusySchedulerTest, SubmitsOfOneRequestIdAtOnceMakeOneJob) {
  Start();
  JobSpec spec = SpecOf("x");
  spec.request_id = "id";
  store_.Block();
  std::vector<std::string> names(4);
  std::vector<std::thread> threads;
  for (std::string& name : names) threads.emplace_back([&] { name = MustSubmit(*scheduler_, spec); });
  EXPECT_TRUE(store_.AwaitBlockedCalls(1, kPatience));
  EXPECT_FALSE(store_.AwaitBlockedCalls(2, absl::Milliseconds(50))) << "the others wait for the first";
  store_.Unblock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(names, testing::Each(names[0]));
  EXPECT_EQ(store_.List([](const JobRecord& record) { return record.spec.owner == "ada"; }, "", 99)->size(),
            1u);
}

TEST(SchedulerSubmitTest, AnOwnerIsNeeded) {
  FakeStore store;
  Scripts scripts;
  const auto scheduler = Scheduler::Create({}, &store, scripts.factory());
  EXPECT_EQ(scheduler->Submit(SpecOf("x", "")).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SchedulerSubmitTest, NoJobIsPreparedBeyondTheRoomForReadyOnes) {
  FakeStore store;
  Scripts scripts;
  Gate gate;
  std::atomic<int> prepared = 0;
  scripts.Set("busy", {.run = [&](JobContext&) {
                gate.Pass();
                return "done";
              }});
  scripts.Set("x", {.prepare = [&](JobContext&) {
                ++prepared;
                return absl::OkStatus();
              }});
  const auto scheduler =
      Scheduler::Create({.preparing_threads = 3, .ready_per_device = 1}, &store, scripts.factory());
  MustSubmit(*scheduler, SpecOf("busy"));
  gate.reached.WaitForNotification();
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i) names.push_back(MustSubmit(*scheduler, SpecOf("x")));
  EXPECT_TRUE(Eventually([&] { return scheduler->counts().ready == 1; }));
  EXPECT_EQ(prepared, 1);
  EXPECT_EQ(scheduler->counts().queued, 3u);
  EXPECT_EQ(scheduler->QueuePosition(names[1]), 1u) << "the ready job starts before it";
  gate.open.Notify();
  for (const std::string& name : names) Reader(*scheduler, name).ReadToEnd();
  EXPECT_EQ(prepared, 4);
}

TEST(SchedulerSubmitTest, JobsSpreadOverTheDevices) {
  FakeStore store;
  Scripts scripts;
  Gate gates[2];
  for (int i = 0; i < 2; ++i) {
    scripts.Set(std::to_string(i), {.run = [&gates, i](JobContext& context) -> absl::StatusOr<std::string> {
                  gates[i].Pass();
                  return std::to_string(context.device());
                }});
  }
  const auto scheduler = Scheduler::Create({.n_devices = 2}, &store, scripts.factory());
  const std::string names[2] = {MustSubmit(*scheduler, SpecOf("0")), MustSubmit(*scheduler, SpecOf("1"))};
  for (Gate& gate : gates) gate.reached.WaitForNotification();
  for (Gate& gate : gates) gate.open.Notify();
  EXPECT_NE(Reader(*scheduler, names[0]).ReadToEnd().back().payload,
            Reader(*scheduler, names[1]).ReadToEnd().back().payload);
}

}  // namespace
}  // namespace induct::jobs
