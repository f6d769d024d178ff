#include "tests/benchmark/operation_times.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace induct::engine {
namespace {

using Clock = std::chrono::steady_clock;

struct Operation {
  double seconds = 0;
  int64_t calls = 0;
};

// LibTorch takes functions without state, so the state is the thread's.
thread_local std::map<std::string, Operation> operations;

// An operation that is under way.
struct Running : at::ObserverContext {
  Clock::time_point start = Clock::now();
  Running* outer = nullptr;
  double inner_seconds = 0;
};
thread_local Running* innermost = nullptr;

std::unique_ptr<at::ObserverContext> Begin(const at::RecordFunction&) {
  auto running = std::make_unique<Running>();
  running->outer = std::exchange(innermost, running.get());
  return running;
}

void End(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto* const running = static_cast<Running*>(context);
  const double seconds = std::chrono::duration<double>(Clock::now() - running->start).count();
  innermost = running->outer;
  if (innermost != nullptr) innermost->inner_seconds += seconds;
  Operation& operation = operations[function.name()];
  operation.seconds += seconds - running->inner_seconds;
  ++operation.calls;
}

void PrintLine(const std::string& name, const Operation& operation, double seconds) {
  std::printf("  %-52s %8.3f s %6.1f %% %8lld calls\n", name.c_str(), operation.seconds,
              100 * operation.seconds / seconds, static_cast<long long>(operation.calls));
}

}  // namespace

OperationTimes::OperationTimes()
    : handle_(at::addThreadLocalCallback(
          at::RecordFunctionCallback(Begin, End).scopes({at::RecordScope::FUNCTION}))) {
  operations.clear();
}

OperationTimes::~OperationTimes() { at::removeCallback(handle_); }

void OperationTimes::Print(double seconds) const {
  std::vector<std::pair<std::string, Operation>> sorted(operations.begin(), operations.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  Operation small, between = {.seconds = seconds};
  for (const auto& [name, operation] : sorted) {
    between.seconds -= operation.seconds;
    if (operation.seconds > 0.005 * seconds) {
      PrintLine(name, operation, seconds);
    } else {
      small.seconds += operation.seconds;
      small.calls += operation.calls;
    }
  }
  PrintLine("other operations", small, seconds);
  PrintLine("between operations", between, seconds);
}

}  // namespace induct::engine
