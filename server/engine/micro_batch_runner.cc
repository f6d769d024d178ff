#include "server/engine/micro_batch_runner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/engine/errors.h"

namespace induct::engine {
namespace {

// Enough rows for matrix products to run at full speed. Of more, intermediate results leave the processor's
// caches, and are so large that the heap asks the system for their memory anew each time, page by page.
constexpr int64_t kTokensCpu = 1024;
// On other devices the time from one operation to the next counts, unless each has much to do.
constexpr int64_t kTokens = 16384;

MicroBatch MakeMicroBatch(const Wave& wave, std::span<const PackedPrompt> prompts) {
  const int64_t first_row = prompts.front().first_row;
  const int64_t n_rows = prompts.back().first_row + prompts.back().length - first_row;
  return {.prompts = prompts,
          .first_row = first_row,
          .n_rows = n_rows,
          .positions = wave.positions.narrow(0, first_row, n_rows)};
}

}  // namespace

int64_t MicroBatchTokens(c10::Device device) { return device.is_cpu() ? kTokensCpu : kTokens; }

MicroBatchRunner::MicroBatchRunner(int64_t batch_size, c10::Device device, int64_t total_work,
                                   ProgressSink on_progress, std::function<void()> on_halving,
                                   std::stop_token stop)
    : by_tokens_(batch_size == 0),
      max_tokens_(MicroBatchTokens(device)),
      total_work_(total_work),
      on_progress_(std::move(on_progress)),
      on_halving_(std::move(on_halving)),
      stop_(std::move(stop)),
      prompt_limit_(by_tokens_ ? std::numeric_limits<size_t>::max() : static_cast<size_t>(batch_size)) {}

absl::Status MicroBatchRunner::Run(const Wave& wave, std::string_view step, int64_t work_per_token,
                                   absl::FunctionRef<absl::Status(const MicroBatch&)> work) {
  for (size_t first = 0; first < wave.prompts.size();) {
    if (stop_.stop_requested()) return Stopped();
    const std::span<const PackedPrompt> prompts = NextPrompts(wave, first);
    const MicroBatch batch = MakeMicroBatch(wave, prompts);
    const absl::Status status = CatchErrors([&] { return work(batch); });
    if (IsOutOfMemory(status) && prompts.size() > 1) {
      prompt_limit_ = prompts.size() / 2;  // also for what follows: it would run out again
      if (on_halving_) on_halving_();
      continue;
    }
    if (!status.ok()) {
      return Annotate(status, absl::StrCat(std::string(step), ", ", prompts.size(), " prompts of up to ",
                                           prompts.back().length, " tokens"));
    }
    first += prompts.size();
    AddProgress(batch.n_rows * work_per_token);
  }
  return absl::OkStatus();
}

std::span<const PackedPrompt> MicroBatchRunner::NextPrompts(const Wave& wave, size_t first) const {
  const std::span rest = std::span(wave.prompts).subspan(first);
  const size_t limit = std::min(prompt_limit_, rest.size());
  if (!by_tokens_) return rest.first(limit);
  size_t count = 0;
  int64_t tokens = 0;
  while (count < limit) {
    tokens += rest[count].length;
    if (tokens > max_tokens_ && count > 0) break;
    ++count;
  }
  return rest.first(count);
}

void MicroBatchRunner::AddProgress(int64_t work) {
  done_work_ += work;
  if (on_progress_) on_progress_(static_cast<double>(done_work_) / static_cast<double>(total_work_));
}

}  // namespace induct::engine
