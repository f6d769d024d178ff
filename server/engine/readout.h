// The sums that a pass returns: weighted attention probabilities per prompt, group and head.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "server/engine/engine.h"
#include "server/engine/wave.h"

namespace induct::engine {

// Sums of one layer over the prompts of a wave, [N, C, H], in double on the CPU. For one thread at a time.
class ReadoutSums {
 public:
  ReadoutSums(int64_t n_prompts, int64_t n_groups, int64_t n_heads);

  // Forgets a prompt's sums, before it is read, also for a second time after a failed attempt.
  void Clear(int64_t prompt);

  // Adds target.weight * P[h] to every target's group. probabilities: [CountPairs(targets), H], one row for
  // the targets that follow one another on the same query and key.
  void Add(int64_t prompt, std::span<const ReadoutTarget> targets, const float* probabilities);

  std::span<const double> values() const { return values_; }

 private:
  int64_t n_heads_;
  int64_t per_prompt_;  // C * H
  std::vector<double> values_;
};

// Runs of targets with one query and key: what is read once.
int64_t CountPairs(std::span<const ReadoutTarget> targets);

// Gives the probabilities [M, H] float32 of M pairs, each a row of queries and a row of keys, [M] int64 on
// the device.
using ProbabilityReader =
    absl::FunctionRef<at::Tensor(const at::Tensor& query_rows, const at::Tensor& key_rows)>;

// Reads all targets of `prompts`, at most `max_pairs` at a time, and adds them to `sums`. Rows count from
// the first row of the first prompt.
void ReadTargets(std::span<const PackedPrompt> prompts, int64_t max_pairs, c10::Device device,
                 ProbabilityReader read, ReadoutSums& sums);

}  // namespace induct::engine
