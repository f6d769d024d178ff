// Many threads that load, use, unload, list and cancel random models under a small budget.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/models/residency.h"
#include "tests/models/fake_model.h"

namespace induct::models {
namespace {

constexpr int kThreads = 8;
constexpr int kSteps = 2000;
constexpr int kModels = 6;
constexpr int64_t kBudget = 100;

// What is in memory, as the loader sees it.
struct Memory {
  std::atomic<int64_t> bytes = 0, most_bytes = 0;
  std::atomic<int> loads_of[kModels] = {};
  std::atomic<bool> loaded_twice_at_once = false;

  void Add(int64_t more) {
    const int64_t now = bytes += more;
    for (int64_t most = most_bytes; now > most && !most_bytes.compare_exchange_weak(most, now);) {
    }
  }
};

class CountedModel : public FakeModel {
 public:
  CountedModel(engine::LoadOptions options, int64_t bytes, Memory& memory)
      : FakeModel(std::move(options)), bytes_(bytes), memory_(memory) {
    memory_.Add(bytes_);
  }
  ~CountedModel() override {
    is_alive = false;
    memory_.Add(-bytes_);
  }

  std::atomic<bool> is_alive = true;

 private:
  const int64_t bytes_;
  Memory& memory_;
};

// Of 15, 25, ..., 65 bytes, 10 of them streamed. One load in ten fails, others are stopped half-way.
LoadRequest RandomRequest(std::mt19937& random, Memory& memory) {
  const int model = static_cast<int>(random() % kModels);
  const int64_t whole = 15 + 10 * model;
  const bool fails = random() % 10 == 0;
  LoadRequest request{
      .key = absl::StrCat(model), .name = absl::StrCat(model), .bytes = {.whole = whole, .streamed = 10}};
  request.options.stream_layers = random() % 8 == 0;
  request.load = [=, &memory](const engine::LoadOptions& options,
                              std::stop_token stop) -> absl::StatusOr<std::unique_ptr<engine::Model>> {
    const bool streamed = options.stream_layers;
    if (!streamed && ++memory.loads_of[model] > 1) memory.loaded_twice_at_once = true;
    auto loaded = std::make_unique<CountedModel>(options, streamed ? 10 : whole, memory);
    std::this_thread::yield();
    if (!streamed) --memory.loads_of[model];
    if (fails) return absl::UnavailableError("the disk");
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    return loaded;
  };
  return request;
}

// Every thread's present request can be stopped by the others.
class StopSources {
 public:
  std::stop_token Renew(size_t thread) {
    const absl::MutexLock lock(&mutex_);
    return (sources_[thread] = std::stop_source()).get_token();
  }
  void StopOne(size_t thread) {
    std::stop_source source(std::nostopstate);
    {
      const absl::MutexLock lock(&mutex_);
      source = sources_[thread];
    }
    source.request_stop();
  }

 private:
  absl::Mutex mutex_;
  std::array<std::stop_source, kThreads> sources_;
};

void UseModel(ModelHandle handle, std::atomic<int>& lost_pins) {
  std::this_thread::yield();
  if (!dynamic_cast<CountedModel&>(*handle).is_alive) ++lost_pins;
}

// Runs kSteps random steps in each of the threads.
void RunThreads(Residency& residency, Memory& memory, bool may_exceed) {
  std::atomic<int> lost_pins = 0, used = 0;
  StopSources stops;
  const auto work = [&](size_t thread) {
    std::mt19937 random(static_cast<uint32_t>(thread) + 1);
    for (int step = 0; step < kSteps; ++step) {
      const std::string key = absl::StrCat(random() % kModels);
      const auto what = random() % 10;
      if (what == 0) {
        static_cast<void>(residency.Unload(key, key));  // where it is in use it stays
      } else if (what == 1) {
        EXPECT_LE(residency.StatsOf(key).n_pins, kThreads);
        EXPECT_LE(residency.ReservedBytes("cpu"), kBudget + (may_exceed ? kThreads * 10 : 0));
      } else if (what == 2) {
        stops.StopOne(random() % kThreads);
      } else {
        const WhenFull when_full = may_exceed && random() % 2 == 0 ? WhenFull::kStream : WhenFull::kWait;
        auto handle = residency.Acquire(RandomRequest(random, memory), when_full, {}, stops.Renew(thread));
        if (!handle.ok()) continue;
        UseModel(*std::move(handle), lost_pins);
        ++used;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t thread = 0; thread < kThreads; ++thread) threads.emplace_back(work, thread);
  }
  EXPECT_EQ(lost_pins, 0);
  EXPECT_GT(used, kThreads * kSteps / 2);
  EXPECT_FALSE(memory.loaded_twice_at_once);
}

void ExpectAllCanBeUnloaded(Residency& residency, const Memory& memory) {
  for (int model = 0; model < kModels; ++model) {
    EXPECT_EQ(residency.StatsOf(absl::StrCat(model)).n_pins, 0);
    EXPECT_TRUE(residency.Unload(absl::StrCat(model), "").ok());
  }
  EXPECT_EQ(residency.ReservedBytes("cpu"), 0);
  EXPECT_EQ(memory.bytes, 0);
}

TEST(ResidencyStress, WaitingLoadsStayWithinTheBudgetAndNoneWaitsForEver) {
  Memory memory;
  Residency residency({{"cpu", kBudget}});
  RunThreads(residency, memory, /*may_exceed=*/false);
  EXPECT_LE(memory.most_bytes, kBudget);
  EXPECT_GT(memory.most_bytes, kBudget / 2);
  ExpectAllCanBeUnloaded(residency, memory);
}

TEST(ResidencyStress, LoadsThatDoNotWaitExceedItByWhatStreamingNeedsAtMost) {
  Memory memory;
  Residency residency({{"cpu", kBudget}});
  RunThreads(residency, memory, /*may_exceed=*/true);
  EXPECT_LE(memory.most_bytes, kBudget + kThreads * 10);
  ExpectAllCanBeUnloaded(residency, memory);
}

}  // namespace
}  // namespace induct::models
