#include "server/engine/wave.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

namespace induct::engine {
namespace {

at::Tensor Positions(const Wave& wave, c10::Device device) {
  const at::Tensor positions = at::empty({wave.n_tokens()}, at::kLong);
  for (const PackedPrompt& prompt : wave.prompts) {
    int64_t* const of_prompt = positions.mutable_data_ptr<int64_t>() + prompt.first_row;
    std::iota(of_prompt, of_prompt + prompt.length, int64_t{0});
  }
  return positions.to(device);
}

}  // namespace

bool SamePair(const ReadoutTarget& a, const ReadoutTarget& b) { return a.query == b.query && a.key == b.key; }

int64_t CountPairs(std::span<const ReadoutTarget> targets) {
  int64_t n_pairs = 0;
  for (size_t i = 0; i < targets.size(); ++i) n_pairs += i == 0 || !SamePair(targets[i - 1], targets[i]);
  return n_pairs;
}

void PlacePrompts(std::span<PackedPrompt> prompts) {
  int64_t place = 0, row = 0, pair = 0;
  for (PackedPrompt& prompt : prompts) {
    prompt.place = place++;
    prompt.first_row = row;
    prompt.first_pair = pair;
    prompt.n_pairs = CountPairs(prompt.prompt->targets);
    row += prompt.length;
    pair += prompt.n_pairs;
  }
}

Wave PackWave(std::span<const PassPrompt> prompts, int64_t first_prompt, int64_t max_tokens,
              c10::Device device) {
  Wave wave{.first_prompt = first_prompt};
  int64_t tokens = 0;
  for (const PassPrompt& prompt : prompts.subspan(first_prompt)) {
    const auto length = static_cast<int64_t>(prompt.tokens.size());
    tokens += length;
    if (tokens > max_tokens && !wave.prompts.empty()) break;
    const auto number = static_cast<int64_t>(wave.prompts.size());
    wave.prompts.push_back({.prompt = &prompt, .number = number, .length = length});
  }
  std::stable_sort(wave.prompts.begin(), wave.prompts.end(),
                   [](const PackedPrompt& a, const PackedPrompt& b) { return a.length < b.length; });
  PlacePrompts(wave.prompts);
  wave.positions = Positions(wave, device);
  return wave;
}

int64_t LongestPrompt(std::span<const PassPrompt> prompts) {
  size_t longest = 0;
  for (const PassPrompt& prompt : prompts) longest = std::max(longest, prompt.tokens.size());
  return static_cast<int64_t>(longest);
}

int64_t TokenCount(std::span<const PassPrompt> prompts) {
  int64_t count = 0;
  for (const PassPrompt& prompt : prompts) count += static_cast<int64_t>(prompt.tokens.size());
  return count;
}

}  // namespace induct::engine
