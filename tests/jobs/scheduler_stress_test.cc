// Everything at once.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "server/jobs/scheduler.h"
#include "tests/jobs/fakes.h"

namespace induct::jobs {
namespace {

constexpr int kThreads = 4;
constexpr int kJobsPerThread = 75;

absl::StatusOr<std::string> EmitSome(JobContext& context) {
  for (int i = 0; i < 10; ++i) {
    if (context.stop().stop_requested()) return absl::CancelledError();
    context.Show(0, std::to_string(i));
    if (const absl::Status emitted = context.Emit("event"); !emitted.ok()) return emitted;
  }
  return "done";
}

// Submits, cancels, watches (or walks away from) jobs as the seed says.
std::vector<std::string> ActAsClient(Scheduler& scheduler, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> names;
  for (int i = 0; i < kJobsPerThread; ++i) {
    JobSpec spec = SpecOf(random() % 5 == 0 ? "fails" : "emits", "owner" + std::to_string(random() % 3));
    spec.priority = static_cast<int32_t>(random() % 3);
    spec.request_id = random() % 2 == 0 ? std::to_string(random() % 20) + spec.request.str() : "";
    if (random() % 10 == 0) spec.run_deadline = absl::Microseconds(50);
    if (random() % 10 == 0) spec.queue_deadline = absl::Milliseconds(1);
    names.push_back(MustSubmit(scheduler, spec));
    if (random() % 3 == 0) {
      EXPECT_TRUE(scheduler.Cancel(names[random() % names.size()]).ok());
    }
    if (random() % 3 == 0) {
      Reader reader(scheduler, names[random() % names.size()], spec.owner);
      reader.watch().TakePassing();
      if (random() % 2 == 0) reader.ReadToEnd();
    }
    scheduler.QueuePosition(names[random() % names.size()]);
    scheduler.counts();
  }
  return names;
}

TEST(SchedulerStressTest, EveryJobEndsOnceAndNoLogHasAGap) {
  FakeStore store;
  Scripts scripts;
  scripts.Set("emits", {.run = EmitSome});
  scripts.Set("fails", {.run = [](JobContext&) { return absl::InternalError("broken"); }});
  const auto scheduler = Scheduler::Create({.n_devices = 2,
                                            .preparing_threads = 3,
                                            .max_queued = 1000,
                                            .max_queued_per_owner = 1000,
                                            .disconnect_grace = absl::Milliseconds(200)},
                                           &store, scripts.factory());
  std::vector<std::vector<std::string>> names(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { names[i] = ActAsClient(*scheduler, 100 + i); });
  }
  for (std::thread& thread : threads) thread.join();

  for (const auto& submitted : names) {
    for (const std::string& name : submitted) {
      const auto events = Reader(*scheduler, name, "onlooker").ReadToEnd();
      int ends = 0;
      for (size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i].sequence, i + 1);
        ends += IsTerminalEvent(events[i].type);
      }
      EXPECT_EQ(ends, 1);
      EXPECT_TRUE(IsTerminal(store.Get(name)->state));
    }
  }
  EXPECT_TRUE(scheduler->Drain(absl::InfiniteFuture()));
  const Scheduler::Counts counts = scheduler->counts();
  EXPECT_EQ(counts.queued + counts.preparing + counts.ready + counts.running, 0u);
}

}  // namespace
}  // namespace induct::jobs
