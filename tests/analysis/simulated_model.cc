#include "tests/analysis/simulated_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace induct::analysis {
namespace {

constexpr int32_t kTokensOfPrompt = 64;

uint32_t LagOf(std::span<const int32_t> tokens) { return static_cast<uint32_t>(tokens.size() - 1) / 2; }

// What a head makes of a prompt: the probability of the position after the antecedent is
// `score + level / (t + 1)` at query t.
struct HeadInPrompt {
  double score = 0, level = 0;

  HeadInPrompt(double mean, double effect, uint32_t lag) {
    if (mean > 0)
      score = std::clamp(mean * (1 - lag / 100.0) * (1 + effect), 0.0, 1.0);
    else
      level = 1 + effect * std::sqrt(lag) / 4;
  }
};

// What a group sums of a prompt, whichever the head: constant + of_score * score + of_level * level.
struct SumsOfGroup {
  double constant = 0, of_score = 0, of_level = 0;

  void Add(const engine::ReadoutTarget& target, uint32_t lag) {
    const double t = target.query, weight = target.weight;
    if (target.query <= lag) {
      constant += weight / (t + 1);
      return;
    }
    const bool is_copied = target.key == target.query - lag + 1;
    const double share = is_copied ? weight : -weight / t;  // of the copied position's probability
    if (!is_copied) constant += weight / t;
    of_score += share;
    of_level += share / (t + 1);
  }
  double Of(const HeadInPrompt& head) const {
    return constant + of_score * head.score + of_level * head.level;
  }
};

std::vector<SumsOfGroup> SumGroups(const engine::PassPrompt& prompt, int64_t n_groups) {
  std::vector<SumsOfGroup> sums(static_cast<size_t>(n_groups));
  const uint32_t lag = LagOf(prompt.tokens);
  for (const engine::ReadoutTarget& target : prompt.targets) sums[target.group].Add(target, lag);
  return sums;
}

// Copied tokens are predicted well, by some positions better than by others.
engine::Prediction Predict(size_t token, uint32_t lag, double lost) {
  const bool is_copied = token > lag + 1;
  const double nll = is_copied ? 0.4 + 0.1 * static_cast<double>(token % 7) + lost : 3.0;
  return {.nll = static_cast<float>(nll), .correct = nll < 1};
}

}  // namespace

double DrawUniform(Random& random) { return static_cast<double>(random.Next() >> 11) * 0x1.0p-53; }

double DrawNoise(Random& random, Skew skew) {
  if (skew == Skew::kNone) {
    const double radius = std::sqrt(-2 * std::log(1 - DrawUniform(random)));
    return radius * std::cos(2 * M_PI * DrawUniform(random));
  }
  const double right = -std::log(1 - DrawUniform(random)) - 1;
  return skew == Skew::kRight ? right : -right;
}

std::vector<Prompt> SimulatedPrompts(uint32_t n_prompts, std::span<const uint32_t> lags) {
  std::vector<Prompt> prompts;
  for (uint32_t i = 0; i < n_prompts; ++i) {
    Prompt prompt{
        .task = i % 2 == 0 ? "ABAB" : "NAMES", .lag = lags[i / 2 % lags.size()], .tokens = {0}, .n_bos = 1};
    for (uint32_t t = 0; t < 2 * prompt.lag; ++t)
      prompt.tokens.push_back(kTokensOfPrompt * static_cast<int32_t>(i) + 1 +
                              static_cast<int32_t>(t % prompt.lag));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

SimulatedModel::SimulatedModel(SimulatedHeads heads) : heads_(std::move(heads)) {
  spec_.n_layers = heads_.n_layers;
  spec_.n_heads = heads_.n_heads;
  spec_.n_kv_heads = heads_.n_kv_heads;
  spec_.d_head = 1;
}

// [L, H]: the same in every pass that holds the prompt.
std::vector<double> SimulatedModel::EffectsOn(std::span<const int32_t> tokens) const {
  std::vector<double> effects;
  Random random(heads_.seed, "simulated prompt", static_cast<uint64_t>(tokens[1] / kTokensOfPrompt));
  const auto draw = [&] { return heads_.spread > 0 ? heads_.spread * DrawNoise(random, heads_.skew) : 0; };
  const double in_common = heads_.of_prompt * heads_.of_prompt + heads_.of_layer * heads_.of_layer +
                           heads_.of_group * heads_.of_group;
  const double own = std::sqrt(1 - in_common), of_prompt = heads_.of_prompt * draw();
  const uint32_t group_size = heads_.n_heads / heads_.n_kv_heads;
  for (uint32_t layer = 0; layer < heads_.n_layers; ++layer) {
    const double of_layer = heads_.of_layer * draw();
    double of_group = 0;
    for (uint32_t head = 0; head < heads_.n_heads; ++head) {
      if (head % group_size == 0) of_group = heads_.of_group * draw();
      effects.push_back(of_prompt + of_layer + of_group + own * draw());
    }
  }
  return effects;
}

absl::Status SimulatedModel::Run(const engine::Pass& pass, std::stop_token) {
  std::vector<std::vector<double>> effects;
  std::vector<std::vector<SumsOfGroup>> sums_of;
  for (const engine::PassPrompt& prompt : pass.prompts) {
    effects.push_back(EffectsOn(prompt.tokens));
    sums_of.push_back(SumGroups(prompt, pass.n_groups));
  }
  const auto n_prompts = static_cast<int64_t>(pass.prompts.size());
  const size_t n_groups = static_cast<size_t>(pass.n_groups), n_heads = heads_.n_heads;
  std::vector<double> sums(pass.prompts.size() * n_groups * n_heads);
  for (uint32_t layer = 0; layer < heads_.n_layers; ++layer) {
    for (size_t i = 0; i < pass.prompts.size(); ++i) {
      for (size_t head = 0; head < n_heads; ++head) {
        const size_t at = layer * n_heads + head;
        const HeadInPrompt in_prompt(heads_.scores[at], effects[i][at], LagOf(pass.prompts[i].tokens));
        for (size_t group = 0; group < n_groups; ++group)
          sums[(i * n_groups + group) * n_heads + head] = sums_of[i][group].Of(in_prompt);
      }
    }
    const absl::Status status = pass.on_layer({layer, 0, n_prompts, true, sums});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SimulatedModel::RunVariants(const engine::AblationPass& pass, std::stop_token) {
  for (size_t prompt = 0; prompt < pass.prompts.size(); ++prompt) {
    const std::span<const int32_t> tokens = pass.prompts[prompt];
    const std::vector<double> effects = EffectsOn(tokens);
    for (size_t variant = 0; variant < pass.variants.size(); ++variant) {
      double lost = 0;
      for (const engine::Head& head : pass.variants[variant]) {
        const size_t at = size_t{head.layer} * heads_.n_heads + head.head;
        lost += heads_.damage[at] * (1 + effects[at]);
      }
      std::vector<engine::Prediction> values;
      for (size_t token = static_cast<size_t>(pass.first_position) + 1; token < tokens.size(); ++token)
        values.push_back(Predict(token, LagOf(tokens), lost));
      const absl::Status status = pass.on_predictions(
          {static_cast<int64_t>(variant), static_cast<int64_t>(prompt), std::span(values)});
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace induct::analysis
