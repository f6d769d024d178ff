// Runs work over a wave in micro-batches: smaller ones where memory runs out, none once a stop is requested.
#pragma once

#include <functional>
#include <stop_token>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/engine/engine.h"
#include "server/engine/wave.h"

namespace induct::engine {

// Tokens of a micro-batch where no batch_size is asked for.
int64_t MicroBatchTokens(c10::Device device);

// Made for one pass, on one thread.
class MicroBatchRunner {
 public:
  // batch_size: as in Pass; on_halving: as in LoadOptions. total_work: the sum over all calls of Run of
  // tokens * work_per_token.
  MicroBatchRunner(int64_t batch_size, c10::Device device, int64_t total_work, ProgressSink on_progress,
                   std::function<void()> on_halving, std::stop_token stop);

  // Calls `work` on consecutive parts of wave.prompts. It may throw what LibTorch throws. After memory ran
  // out it is called again with half of the prompts, so it must change what it reads only at its end, by
  // operations that can't fail. `step` says in errors where the pass was. CANCELLED before the next
  // micro-batch after a stop request.
  absl::Status Run(const Wave& wave, std::string_view step, int64_t work_per_token,
                   absl::FunctionRef<absl::Status(const MicroBatch&)> work);

 private:
  // The prompts of the wave from `first` on that go into one micro-batch.
  std::span<const PackedPrompt> NextPrompts(const Wave& wave, size_t first) const;
  void AddProgress(int64_t work);

  const bool by_tokens_;  // no batch_size was asked for
  const int64_t max_tokens_;
  const int64_t total_work_;
  const ProgressSink on_progress_;
  const std::function<void()> on_halving_;
  const std::stop_token stop_;
  size_t prompt_limit_;  // of a micro-batch; halved each time memory runs out
  int64_t done_work_ = 0;
};

}  // namespace induct::engine
