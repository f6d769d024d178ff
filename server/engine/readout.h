// The sums that a pass returns: weighted attention probabilities per prompt, group and head.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "server/engine/engine.h"
#include "server/engine/wave.h"

namespace induct::engine {

// Gives the probabilities [M, H] float32 of M pairs, each a row of queries and a row of keys, [M] int64 on
// the device.
using ProbabilityReader =
    absl::FunctionRef<at::Tensor(const at::Tensor& query_rows, const at::Tensor& key_rows)>;

// How probabilities are added up, in double.
enum class Summing {
  kLoop,      // in order, one thread of the CPU
  kIndexAdd,  // by one operation on the device, in no fixed order; nothing comes to the host before the layer
              // is through
};

// Sums of one layer over the prompts of a wave, [N, C, H] in double on the device, and the wave's targets
// that go into them, brought to the device once for all layers. For one thread at a time.
class ReadoutSums {
 public:
  // No prompt has any targets.
  ReadoutSums() = default;
  // `prompts`: all of a wave, as PlacePrompts left them.
  ReadoutSums(std::span<const PackedPrompt> prompts, int64_t n_groups, int64_t n_heads, c10::Device device)
      : ReadoutSums(prompts, n_groups, n_heads, device,
                    device.is_cpu() ? Summing::kLoop : Summing::kIndexAdd) {}
  ReadoutSums(std::span<const PackedPrompt> prompts, int64_t n_groups, int64_t n_heads, c10::Device device,
              Summing summing);

  // Forgets the sums of some consecutive prompts, before they are read, also for a second time after a failed
  // attempt.
  void Clear(std::span<const PackedPrompt> prompts);

  // Reads all targets of some consecutive prompts, at most `max_pairs` at a time, and adds target.weight *
  // P[h] to every target's group. The rows that `read` is given count from the first row of the first prompt.
  void Read(std::span<const PackedPrompt> prompts, int64_t max_pairs, ProbabilityReader read);

  // [N, C, H], prompts in the caller's order. Waits for the device.
  std::vector<double> Values() const;

 private:
  // Adds the pairs from first_pair on, whose probabilities these are, [M, H].
  void Add(int64_t first_pair, const at::Tensor& probabilities);
  void AddInLoop(int64_t first_pair, const at::Tensor& probabilities);

  Summing summing_ = Summing::kLoop;
  int64_t n_groups_ = 0, n_heads_ = 0;
  std::vector<int64_t> places_;        // [N], by number
  at::Tensor query_rows_, key_rows_;   // [pairs] int64, rows of the wave
  std::vector<int64_t> first_target_;  // [pairs + 1]; a pair's targets follow one another
  at::Tensor groups_;                  // [targets] int64: place * C + group
  at::Tensor weights_;                 // [targets] float32
  at::Tensor pairs_;                   // [targets] int64: whose probability; undefined with kLoop
  at::Tensor sums_;                    // [N * C, H] double
};

}  // namespace induct::engine
