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

// The size of the model that most tests measure.
inline constexpr uint32_t kLayers = 3, kHeads = 4, kScores = kLayers * kHeads;
inline constexpr double kFloatRounding = 1e-7;  // of scores and weights, which are float32

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

// How well the variant without the outputs of `heads` predicts the token after `position`.
using Predictor = std::function<engine::Prediction(std::span<const engine::Head> heads,
                                                   std::span<const int32_t> tokens, uint32_t position)>;

// Component k of a head's output at a position.
using HeadOutput = std::function<double(std::span<const int32_t> tokens, uint32_t layer, uint32_t head,
                                        uint32_t position, int64_t k)>;

class FakeModel : public engine::Model {
 public:
  FakeModel(int64_t n_layers, int64_t n_heads, Pattern pattern) : pattern_(std::move(pattern)) {
    spec_.n_layers = n_layers;
    spec_.n_heads = n_heads;
    spec_.n_kv_heads = n_heads;
    spec_.d_head = 2;
  }

  int64_t prompts_per_wave = INT64_MAX;
  int64_t layers_left_out = 0;  // the last layers, for passes that end too early
  engine::LoadOptions load_options;
  engine::Pass last_pass;                             // as it was run; its spans are gone
  HeadOutput head_output;                             // for passes with on_head_outputs
  Predictor predictor;                                // for RunVariants
  std::vector<engine::AblationPass> ablation_passes;  // as they were run; their prompts' spans are gone
  std::vector<float> last_replacement;                // of the last of them

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
        if (pass.on_head_outputs) {
          const absl::Status handed_out = HandOutHeadOutputs(pass, layer, first, n);
          if (!handed_out.ok()) return handed_out;
        }
        if (pass.on_progress) pass.on_progress(1.0);
      }
    }
    return absl::OkStatus();
  }

  absl::Status RunVariants(const engine::AblationPass& pass, std::stop_token stop) override {
    ablation_passes.push_back(pass);
    last_replacement.assign(pass.replacement.begin(), pass.replacement.end());
    for (size_t variant = 0; variant < pass.variants.size(); ++variant) {
      for (size_t prompt = 0; prompt < pass.prompts.size(); ++prompt) {
        if (stop.stop_requested()) return absl::CancelledError("cancelled");
        const std::span<const int32_t> tokens = pass.prompts[prompt];
        std::vector<engine::Prediction> values;
        for (size_t t = pass.first_position; t + 1 < tokens.size(); ++t) {
          values.push_back(predictor(pass.variants[variant], tokens, static_cast<uint32_t>(t)));
        }
        const absl::Status status = pass.on_predictions(
            {static_cast<int64_t>(variant), static_cast<int64_t>(prompt), std::span(values)});
        if (!status.ok()) return status;
      }
      if (pass.on_progress) pass.on_progress((variant + 1.0) / pass.variants.size());
    }
    return absl::OkStatus();
  }

 private:
  absl::Status HandOutHeadOutputs(const engine::Pass& pass, int64_t layer, int64_t first, int64_t n) const {
    std::vector<double> sums(spec_.n_heads * spec_.d_head);
    int64_t n_positions = 0;
    for (int64_t i = first; i < first + n; ++i) {
      const std::span<const int32_t> tokens = pass.prompts[i].tokens;
      for (size_t t = pass.first_output_position; t < tokens.size(); ++t, ++n_positions) {
        for (int64_t j = 0; j < spec_.n_heads * spec_.d_head; ++j) {
          sums[j] += head_output(tokens, layer, j / spec_.d_head, t, j % spec_.d_head);
        }
      }
    }
    return pass.on_head_outputs({layer, n_positions, sums});
  }

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
