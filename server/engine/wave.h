// Prompts packed into rows without padding, and the parts of them that are run together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "server/engine/engine.h"

namespace induct::engine {

// A prompt of a wave and its place in the packed rows [n_tokens, ...].
struct PackedPrompt {
  const PassPrompt* prompt = nullptr;
  int64_t number = 0;     // in the wave, in the caller's order
  int64_t place = 0;      // among the wave's prompts
  int64_t first_row = 0;  // its tokens are the rows [first_row, first_row + length)
  int64_t length = 0;
  int64_t first_pair = 0;  // its targets' pairs are the wave's [first_pair, first_pair + n_pairs)
  int64_t n_pairs = 0;
};

// Consecutive prompts of a pass whose residual streams are kept together.
struct Wave {
  int64_t first_prompt = 0;
  std::vector<PackedPrompt> prompts;  // by length, so that equal lengths attend together
  at::Tensor positions;               // [n_tokens] int64 on the device, each token's position in its prompt
  int64_t n_tokens() const { return prompts.back().first_row + prompts.back().length; }
};

bool SamePair(const ReadoutTarget& a, const ReadoutTarget& b);

// Runs of targets with one query and key: what is read once.
int64_t CountPairs(std::span<const ReadoutTarget> targets);

// One after another in the order given: their places, rows and pairs.
void PlacePrompts(std::span<PackedPrompt> prompts);

// The prompts from `first_prompt` on that have at most `max_tokens` tokens together, at least one.
Wave PackWave(std::span<const PassPrompt> prompts, int64_t first_prompt, int64_t max_tokens,
              c10::Device device);

int64_t LongestPrompt(std::span<const PassPrompt> prompts);
int64_t TokenCount(std::span<const PassPrompt> prompts);

// Prompts of a wave that one call runs: the rows of prompts[0], prompts[1], ...
struct MicroBatch {
  std::span<const PackedPrompt> prompts;
  int64_t first_row = 0;
  int64_t n_rows = 0;    // S
  at::Tensor positions;  // [S] int64, each token's position in its prompt

  // This batch's rows of a tensor over the whole wave; a view.
  at::Tensor RowsOf(const at::Tensor& packed) const { return packed.narrow(0, first_row, n_rows); }
};

}  // namespace induct::engine
