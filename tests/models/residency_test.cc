#include "server/models/residency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <optional>
#include <set>
#include <thread>

#include "common/status.h"
#include "tests/metrics/told.h"
#include "tests/models/fake_model.h"

namespace induct::models {
namespace {

using ::testing::HasSubstr;

constexpr ModelState kStates[] = {ModelState::kUnloaded, ModelState::kLoading, ModelState::kAvailable,
                                  ModelState::kUnloading};

TEST(ModelStates, EveryPairIsAsTheDesignHasIt) {
  const std::set<std::string> allowed = {"unloaded loading", "loading available", "loading unloaded",
                                         "available unloading", "unloading unloaded"};
  for (const ModelState from : kStates) {
    for (const ModelState to : kStates) {
      const std::string edge = std::string(StateName(from)) + " " + std::string(StateName(to));
      EXPECT_EQ(CanChange(from, to), allowed.contains(edge)) << edge;
    }
  }
}

absl::StatusOr<std::unique_ptr<engine::Model>> MakeFake(const engine::LoadOptions& options, std::stop_token) {
  return std::make_unique<FakeModel>(options);
}

// `whole` bytes, 10 of them streamed.
LoadRequest Request(const std::string& name, int64_t whole, LoadFunction load = MakeFake) {
  return {.key = name, .name = name, .bytes = {.whole = whole, .streamed = 10}, .load = std::move(load)};
}

class ResidencyTest : public ::testing::Test {
 protected:
  ModelHandle Get(const LoadRequest& request, WhenFull when_full = WhenFull::kWait) {
    return residency_.Acquire(request, when_full, {}, {}).value();
  }
  ModelState StateOf(const std::string& name) const { return residency_.StatsOf(name).state; }

  Residency residency_{{{"cpu", 100}}};
};

TEST_F(ResidencyTest, TheLeastRecentlyUsedModelMakesRoom) {
  Get(Request("a", 40));
  Get(Request("b", 40));
  Get(Request("a", 40));
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 80);
  Get(Request("c", 40));
  EXPECT_EQ(StateOf("a"), ModelState::kAvailable);
  EXPECT_EQ(StateOf("b"), ModelState::kUnloaded);
  EXPECT_EQ(StateOf("c"), ModelState::kAvailable);
  EXPECT_GT(residency_.StatsOf("b").last_use, absl::InfinitePast());
}

TEST_F(ResidencyTest, LoadsAndEvictionsAreTold) {
  metrics::Told told;
  Residency residency({{"cpu", 100}}, &told);
  const auto acquire = [&](const LoadRequest& request, std::stop_token stop = {}) {
    return residency.Acquire(request, WhenFull::kWait, {}, stop).status();
  };
  EXPECT_TRUE(acquire(Request("a", 60)).ok());
  EXPECT_TRUE(acquire(Request("a", 60)).ok());  // is there
  EXPECT_FALSE(
      acquire(Request("b", 60, [](const auto&, auto) { return absl::DataLossError("broken"); })).ok());
  EXPECT_TRUE(residency.Unload("a", "a").ok());  // nothing to do: "b" has taken its room
  EXPECT_TRUE(acquire(Request("c", 60)).ok());
  EXPECT_TRUE(residency.Unload("c", "c").ok());  // on request, which is no eviction
  EXPECT_THAT(told.lines(),
              ::testing::ElementsAre("loaded OK", "evicted from cpu", "loaded DATA_LOSS", "loaded OK"));
}

TEST_F(ResidencyTest, TheListHasAModelOnceForEachDeviceUntilItIsUnloaded) {
  const auto list = [&] {
    std::vector<std::string> lines;
    for (const ResidentBytes& resident : residency_.List())
      lines.push_back(resident.model + " " + resident.device + " " + std::to_string(resident.bytes));
    return lines;
  };
  LoadRequest elsewhere = Request("b", 30);
  elsewhere.options.device = "cuda:0";
  LoadRequest early = Request("b", 20);
  early.key = early.name = "b@step1";
  Get(Request("b", 40));
  Get(early);
  Get(elsewhere);
  Get(Request("a", 10));
  EXPECT_THAT(list(), ::testing::ElementsAre("a cpu 10", "b cpu 60", "b cuda:0 30"));
  EXPECT_TRUE(residency_.Unload("b", "b").ok());
  EXPECT_THAT(list(), ::testing::ElementsAre("a cpu 10", "b cpu 20"));
}

TEST_F(ResidencyTest, NothingIsEvictedWhereThatWouldNotMakeRoom) {
  Get(Request("idle", 20));
  const ModelHandle used = Get(Request("used", 60));
  const ModelHandle streamed = Get(Request("wanted", 70), WhenFull::kStream);
  EXPECT_TRUE(streamed.streamed());
  EXPECT_EQ(StateOf("idle"), ModelState::kAvailable);
}

TEST_F(ResidencyTest, DevicesHaveBudgetsOfTheirOwn) {
  LoadRequest elsewhere = Request("a", 90);
  elsewhere.options.device = "cuda";
  const ModelHandle there = Get(elsewhere), here = Get(Request("a", 90));
  EXPECT_NE(&*there, &*here);
  EXPECT_EQ(residency_.StatsOf("a").bytes, 180);
  EXPECT_EQ(residency_.StatsOf("a").n_pins, 2);
}

TEST_F(ResidencyTest, AHandleKeepsItsModelAndAMovedOneKeepsItOnce) {
  ModelHandle first = Get(Request("a", 60));
  ModelHandle second = Get(Request("a", 60));
  EXPECT_EQ(&*first, &*second);
  EXPECT_EQ(residency_.StatsOf("a").n_pins, 2);
  first = std::move(second);
  {
    const ModelHandle third(std::move(first));
    EXPECT_EQ(residency_.StatsOf("a").n_pins, 2);  // `second` holds what `first` held
  }
  EXPECT_EQ(residency_.StatsOf("a").n_pins, 1);
}

TEST_F(ResidencyTest, AModelInUseIsNotUnloadedAndAnIdleOneIs) {
  {
    const ModelHandle model = Get(Request("a", 60)), same = Get(Request("a", 60));
    const absl::Status status = residency_.Unload("a", "the model");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(status), reason::kModelInUse);
    EXPECT_THAT(std::string(status.message()), HasSubstr("the model is in use by 2 jobs"));
  }
  EXPECT_TRUE(residency_.Unload("a", "a").ok());
  EXPECT_EQ(StateOf("a"), ModelState::kUnloaded);
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 0);
  EXPECT_TRUE(residency_.Unload("a", "a").ok());
}

TEST_F(ResidencyTest, AStreamedCopyGoesWithItsHandle) {
  {
    const ModelHandle large = Get(Request("large", 101));
    EXPECT_TRUE(large.streamed());
    EXPECT_TRUE(large->options().stream_layers);
    EXPECT_EQ(residency_.ReservedBytes("cpu"), 10);
  }
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 0);
}

TEST_F(ResidencyTest, WhoCanHaveAWholeCopyIsGivenNoStreamedOne) {
  LoadRequest request = Request("a", 60);
  request.options.stream_layers = true;
  const ModelHandle streamed = Get(request);
  request.options.stream_layers = false;
  const ModelHandle whole = Get(request);
  EXPECT_TRUE(streamed.streamed());
  EXPECT_FALSE(whole.streamed());
  EXPECT_EQ(residency_.StatsOf("a").bytes, 70);
}

TEST_F(ResidencyTest, WhatNotEvenStreamingHoldsIsRefused) {
  LoadRequest request = Request("huge", 1'000'000'000);
  request.bytes.streamed = 101;
  const absl::Status status = residency_.Acquire(request, WhenFull::kStream, {}, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), reason::kModelTooLarge);
}

TEST_F(ResidencyTest, AJobThatHasItsDeviceIsNeverHeldUp) {
  const ModelHandle full = Get(Request("full", 100));
  const ModelHandle streamed = Get(Request("next", 50), WhenFull::kStream);
  EXPECT_TRUE(streamed.streamed());
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 110);
}

// Steps as they are told, to wait for.
class Steps {
 public:
  StepSink sink() {
    return [this](const PreparationStep& step) {
      const absl::MutexLock lock(&mutex_);
      steps_.push_back(step.what);
    };
  }
  void AwaitOne(const std::string& part) {
    const auto told = [&] {
      return std::ranges::any_of(steps_, [&](const auto& step) { return step.find(part) != step.npos; });
    };
    const absl::MutexLock lock(&mutex_, absl::Condition(&told));
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> steps_;
};

TEST_F(ResidencyTest, ALoadWithoutRoomSaysForWhatItWaitsAndGoesOnWhenThereIsRoom) {
  std::optional<ModelHandle> used = Get(Request("used", 60));
  Steps steps;
  bool streamed = true;
  std::jthread waiting([&] {
    streamed = residency_.Acquire(Request("wanted", 50), WhenFull::kWait, steps.sink(), {})->streamed();
  });
  steps.AwaitOne("waiting for memory, which used uses");
  EXPECT_EQ(StateOf("wanted"), ModelState::kUnloaded);
  used.reset();
  waiting.join();
  EXPECT_FALSE(streamed);
  EXPECT_EQ(StateOf("used"), ModelState::kUnloaded);
}

TEST_F(ResidencyTest, AStopEndsAWaitForMemoryAtOnce) {
  const ModelHandle used = Get(Request("used", 60));
  Steps steps;
  absl::Status status;
  std::jthread waiting([&](std::stop_token stop) {
    status = residency_.Acquire(Request("wanted", 50), WhenFull::kWait, steps.sink(), stop).status();
  });
  steps.AwaitOne("waiting for memory");
  waiting.request_stop();
  waiting.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 60);
}

// A load that goes on until it is told how to end.
struct GatedLoad {
  std::latch begun{1}, may_end{1};
  absl::Status end;

  LoadFunction function() {
    return [this](const engine::LoadOptions& options,
                  std::stop_token) -> absl::StatusOr<std::unique_ptr<engine::Model>> {
      begun.count_down();
      may_end.wait();
      if (!end.ok()) return end;
      return std::make_unique<FakeModel>(options);
    };
  }
};

LoadFunction MustNotLoad() {
  return [](const engine::LoadOptions&, std::stop_token) -> absl::StatusOr<std::unique_ptr<engine::Model>> {
    return absl::InternalError("loaded twice");
  };
}

TEST_F(ResidencyTest, OfTwoRequestsForOneModelOneLoadsAndTheOtherWaits) {
  GatedLoad load;
  Steps steps;
  std::optional<ModelHandle> first, second;
  std::jthread loading([&] { first = Get(Request("a", 60, load.function())); });
  load.begun.wait();
  EXPECT_EQ(StateOf("a"), ModelState::kLoading);
  EXPECT_EQ(residency_.StatsOf("a").bytes, 60);
  EXPECT_EQ(ReasonOf(residency_.Unload("a", "a")), reason::kModelInUse);
  std::jthread waiting([&] {
    second = residency_.Acquire(Request("a", 60, MustNotLoad()), WhenFull::kStream, steps.sink(), {}).value();
  });
  steps.AwaitOne("waiting for a, which is being loaded");
  load.may_end.count_down();
  loading.join();
  waiting.join();
  EXPECT_EQ(&**first, &**second);
  EXPECT_EQ(residency_.StatsOf("a").n_pins, 2);
}

TEST_F(ResidencyTest, WhereTheFirstLoadFailsTheSecondLoadsItself) {
  GatedLoad load;
  load.end = absl::CancelledError("stopped");
  Steps steps;
  absl::Status first;
  std::optional<ModelHandle> second;
  std::jthread loading([&] {
    first = residency_.Acquire(Request("a", 60, load.function()), WhenFull::kWait, {}, {}).status();
  });
  load.begun.wait();
  std::jthread waiting(
      [&] { second = residency_.Acquire(Request("a", 60), WhenFull::kWait, steps.sink(), {}).value(); });
  steps.AwaitOne("which is being loaded");
  load.may_end.count_down();
  loading.join();
  waiting.join();
  EXPECT_EQ(first.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(residency_.StatsOf("a").n_pins, 1);
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 60);
}

TEST_F(ResidencyTest, AStopEndsAWaitForAnotherLoadAtOnce) {
  GatedLoad load;
  Steps steps;
  absl::Status status;
  std::jthread loading([&] { Get(Request("a", 60, load.function())); });
  load.begun.wait();
  std::jthread waiting([&](std::stop_token stop) {
    status = residency_.Acquire(Request("a", 60), WhenFull::kWait, steps.sink(), stop).status();
  });
  steps.AwaitOne("which is being loaded");
  waiting.request_stop();
  waiting.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  load.may_end.count_down();
}

TEST_F(ResidencyTest, AnErrorOfLoadingIsNotRemembered) {
  GatedLoad load;
  load.end = absl::UnavailableError("the disk");
  load.may_end.count_down();
  const auto failed = residency_.Acquire(Request("a", 60, load.function()), WhenFull::kWait, {}, {});
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(StateOf("a"), ModelState::kUnloaded);
  EXPECT_EQ(residency_.ReservedBytes("cpu"), 0);
  Get(Request("a", 60));
}

TEST_F(ResidencyTest, CopiesOfOlderFilesGoWhenNobodyUsesThem) {
  Get(Request("idle", 20));
  std::optional<ModelHandle> used = Get(Request("used", 20));
  LoadRequest idle = Request("idle", 20), in_use = Request("used", 20);
  idle.fingerprint = in_use.fingerprint = "newer";
  Get(idle);
  EXPECT_EQ(residency_.StatsOf("idle").bytes, 20);
  const ModelHandle newer = Get(in_use);
  EXPECT_NE(&*newer, &**used);
  EXPECT_EQ(residency_.StatsOf("used").bytes, 40);
  used.reset();
  EXPECT_EQ(residency_.StatsOf("used").bytes, 20);
}

}  // namespace
}  // namespace induct::models
