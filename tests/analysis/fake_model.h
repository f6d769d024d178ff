// An engine::Model without tensors: its attention patterns are given by a function, so that every score has a
// known value.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "server/engine/engine.h"

namespace induct::analysis {

// P[layer][head][query][key] for one prompt; asked for key <= query only.
using Pattern = std::function<double(std::span<const int32_t> tokens, uint32_t layer, uint32_t head,
                                     uint32_t query, uint32_t key)>;

// A causal softmax of numbers hashed from everything it depends on.
inline double HashedAttention(std::span<const int32_t> tokens, uint32_t layer, uint32_t head, uint32_t query,
                              uint32_t key) {
  const auto weight = [&](uint32_t s) {
    uint32_t hash = 2166136261u;
    for (const uint32_t part :
         {layer, head, query, s, static_cast<uint32_t>(tokens[s]), static_cast<uint32_t>(tokens[query])}) {
      hash = (hash ^ part) * 16777619u;
      hash ^= hash >> 15;
    }
    return std::exp(4.0 * hash / UINT32_MAX);
  };
  double total = 0;
  for (uint32_t s = 0; s <= query; ++s) total += weight(s);
  return weight(key) / total;
}

class FakeModel : public engine::Model {
 public:
  FakeModel(int64_t n_layers, int64_t n_heads, Pattern pattern) : pattern_(std::move(pattern)) {
    spec_.n_layers = n_layers;
    spec_.n_heads = n_heads;
  }

  int64_t prompts_per_wave = INT64_MAX;
  int64_t layers_left_out = 0;  // the last layers, for passes that end too early
  engine::LoadOptions load_options;
  engine::Pass last_pass;  // as it was run; its spans are gone

  const DecoderSpec& spec() const override { return spec_; }
  const engine::LoadOptions& options() const override { return load_options; }
  int64_t resident_bytes() const override { return 0; }

  absl::Status Run(const engine::Pass& pass, std::stop_token stop) override {
    last_pass = pass;
    const auto n_prompts = static_cast<int64_t>(pass.prompts.size());
    for (int64_t first = 0; first < n_prompts; first += std::min(prompts_per_wave, n_prompts)) {
      const int64_t n = std::min(prompts_per_wave, n_prompts - first);
      for (int64_t layer = 0; layer < spec_.n_layers - layers_left_out; ++layer) {
        if (stop.stop_requested()) return absl::CancelledError("cancelled");
        const std::vector<double> sums = Sums(pass, layer, first, n);
        const absl::Status status = pass.on_layer({layer, first, n, first + n == n_prompts, sums});
        if (!status.ok()) return status;
        if (pass.on_progress) pass.on_progress(1.0);
      }
    }
    return absl::OkStatus();
  }

 private:
  std::vector<double> Sums(const engine::Pass& pass, int64_t layer, int64_t first, int64_t n) const {
    std::vector<double> sums(n * pass.n_groups * spec_.n_heads);
    for (int64_t i = 0; i < n; ++i) {
      const engine::PassPrompt& prompt = pass.prompts[first + i];
      for (const engine::ReadoutTarget& target : prompt.targets) {
        for (int64_t head = 0; head < spec_.n_heads; ++head) {
          sums[(i * pass.n_groups + target.group) * spec_.n_heads + head] +=
              target.weight * pattern_(prompt.tokens, layer, head, target.query, target.key);
        }
      }
    }
    return sums;
  }

  DecoderSpec spec_;
  Pattern pattern_;
};

}  // namespace induct::analysis
