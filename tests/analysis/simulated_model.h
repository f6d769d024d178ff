// A model without tensors whose heads are known by construction, and prompts for it: what simulations measure
// on the way that a real model takes, and what the truth is that their intervals should hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/analysis/prompts.h"
#include "server/analysis/random.h"
#include "server/engine/engine.h"

namespace induct::analysis {

enum class Skew { kNone, kRight, kLeft };

// In [0, 1).
double DrawUniform(Random& random);
// Mean 0, variance 1; the skewed ones are exponential.
double DrawNoise(Random& random, Skew skew);

// Two blocks of `lag` tokens behind a BOS, for two tasks of the given lags (each at most 60): prompt i is in
// stratum i mod (2 * lags), so that the first ones are as even as all. The first token names the prompt.
std::vector<Prompt> SimulatedPrompts(uint32_t n_prompts, std::span<const uint32_t> lags);

// What the heads of a simulated model do.
struct SimulatedHeads {
  uint32_t n_layers = 12, n_heads = 8, n_kv_heads = 8;
  // [L, H]: the probability that a head gives the position after the antecedent in an average prompt, less
  // for long lags. 0: a head without any effect, which gives that position as much as any other.
  std::vector<double> scores = std::vector<double>(size_t{n_layers} * n_heads);
  std::vector<double> damage = {};  // [L, H] nats that copying loses without the head; empty: none
  // What prompts make of a head varies by this share of it; 0: not at all, and what is measured is the truth.
  // Scores stay probabilities; what a head without effect gives does not always where it varies much, so that
  // its mean stays what it is.
  double spread = 0.15;
  Skew skew = Skew::kNone;
  // Shares of that variation, as standard deviations, that all heads of a prompt, of its layer, and of its
  // group (those of one key and value) have in common.
  double of_prompt = 0.4, of_layer = 0.4, of_group = 0.4;
  uint64_t seed = 0;  // of the prompts' variation
};

// Reads SimulatedPrompts only. A query without an antecedent attends alike to all positions; one with an
// antecedent gives the position after it what the head is made for, and all others the same share of the
// rest: effects against a shuffled antecedent are 0 on average exactly where scores are.
class SimulatedModel : public engine::Model {
 public:
  explicit SimulatedModel(SimulatedHeads heads);

  const DecoderSpec& spec() const override { return spec_; }
  const engine::LoadOptions& options() const override { return options_; }
  int64_t resident_bytes() const override { return 0; }
  absl::Status Run(const engine::Pass& pass, std::stop_token stop) override;
  // Copying loses what the ablated heads' damage adds up to, varied by prompts as scores are.
  absl::Status RunVariants(const engine::AblationPass& pass, std::stop_token stop) override;

 private:
  std::vector<double> EffectsOn(std::span<const int32_t> tokens) const;

  const SimulatedHeads heads_;
  DecoderSpec spec_;
  const engine::LoadOptions options_;
};

}  // namespace induct::analysis
