#include "server/analysis/causal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "common/status.h"
#include "server/analysis/resampling.h"
#include "tests/analysis/fake_model.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {
namespace {

using engine::Head;
using engine::Prediction;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<int32_t> Hashed(uint32_t seed, size_t n_tokens, uint32_t n_bos) {
  std::vector<int32_t> row(n_bos, 0);
  for (uint32_t x = seed * 2654435761u + 1; row.size() < n_tokens; x = x * 1664525u + 1013904223u) {
    row.push_back(1 + static_cast<int32_t>((x >> 16) % 6));
  }
  return row;
}

// Prompts of two tasks and of the user, of several lengths; six token ids, so that pairs come back often.
std::vector<Prompt> TaskPrompts(uint32_t n_bos = 1) {
  std::vector<Prompt> prompts;
  for (uint32_t i = 0; i < 13; ++i) {
    const bool text = i % 3 == 2;
    prompts.push_back({.task = text ? "TEXT" : "ABAB",
                       .lag = text ? 0 : 2 + i % 3,
                       .tokens = Hashed(i, 10 + i, n_bos),
                       .n_bos = n_bos});
  }
  return prompts;
}

// Another prediction for every set of heads, token row and position.
Prediction HashedPrediction(std::span<const Head> heads, std::span<const int32_t> tokens, uint32_t position) {
  uint32_t of_heads = 0;  // whatever their order
  for (const Head& head : heads) of_heads += (head.layer * 31 + head.head + 7) * 2654435761u;
  uint32_t hash = 2166136261u;
  for (const uint32_t part :
       {of_heads, position, static_cast<uint32_t>(tokens[position]),
        static_cast<uint32_t>(tokens[position + 1]), static_cast<uint32_t>(tokens.size())}) {
    hash = (hash ^ part) * 16777619u;
    hash ^= hash >> 15;
  }
  return {.nll = static_cast<float>(hash % 1000) / 100, .correct = hash / 1000 % 3 == 0};
}

struct Given {
  std::vector<Prompt> prompts = TaskPrompts();
  std::vector<Prompt> controls = {};
  ProfileOptions options = {.min_lag = 2, .bootstrap_resamples = 0};
  CausalOptions causal = {.top_k = 2, .random_k = 2, .random_draws = 5};
};

FakeModel HashedModel() {
  FakeModel model(kLayers, kHeads, HashedAttention);
  model.predictor = HashedPrediction;
  return model;
}

absl::StatusOr<CausalResult> MeasureArmsOf(engine::Model& model, const Given& given,
                                           const LayerScoresSink& on_layer = {},
                                           const engine::ProgressSink& on_progress = {}) {
  return MeasureCausal(model, given.prompts, given.controls, given.options, given.causal, {}, on_layer,
                       on_progress);
}

// Whether the token at t may be copied, by the definition: its pair compared with every one before.
bool IsPredictable(const Prompt& prompt, size_t t, Antecedents antecedents) {
  size_t times = 0;
  for (size_t s = prompt.n_bos + 1; s < t; ++s) {
    if (prompt.tokens[s] == prompt.tokens[t] && prompt.tokens[s - 1] == prompt.tokens[t - 1]) ++times;
  }
  return antecedents == Antecedents::kFirst ? times == 1 : times >= 1;
}

// Sums of one arm over one prompt.
struct PlainMetrics {
  double hits = 0, copy_nll = 0, other_nll = 0;
  uint32_t n_predictable = 0, n_other = 0;

  void Add(const Prompt& prompt, const std::vector<Head>& heads, std::optional<Antecedents> antecedents) {
    for (size_t t = prompt.n_bos + 1; t < prompt.tokens.size(); ++t) {
      const Prediction prediction = HashedPrediction(heads, prompt.tokens, static_cast<uint32_t>(t - 1));
      if (antecedents && IsPredictable(prompt, t, *antecedents)) {
        hits += prediction.correct;
        copy_nll += prediction.nll;
        ++n_predictable;
      } else {
        other_nll += prediction.nll;
        ++n_other;
      }
    }
  }
};

PlainMetrics SumOver(const Given& given, std::span<const uint32_t> indices, const std::vector<Head>& heads) {
  PlainMetrics sums;
  for (const uint32_t i : indices) sums.Add(given.prompts[i], heads, given.options.antecedents);
  return sums;
}

// All arms of a result, the baseline first.
std::vector<const AblationArm*> ArmsOf(const CausalResult& result) {
  std::vector<const AblationArm*> arms = {&result.baseline, &result.top_k};
  for (const ControlArm* control : {&result.random_k, &result.matched_k}) {
    for (const AblationArm& draw : control->draws) arms.push_back(&draw);
  }
  return arms;
}

class MetricsOfArms : public testing::TestWithParam<std::tuple<Antecedents, uint32_t>> {};

TEST_P(MetricsOfArms, AreThoseOfPlainLoops) {
  const auto [antecedents, n_bos] = GetParam();
  Given given{.prompts = TaskPrompts(n_bos)};
  given.options.antecedents = antecedents;
  given.causal.heads = {{0, 0}, {2, 1}};  // in two layers: nine sets match
  for (uint32_t i = 0; i < 3; ++i)
    given.controls.push_back({.task = "TEXT", .tokens = Hashed(90 + i, 5 + i, n_bos), .n_bos = n_bos});
  FakeModel model = HashedModel();
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->random_k.draws.size(), 5u);
  EXPECT_EQ(result->matched_k.draws.size(), 5u);
  const PlainMetrics base = SumOver(given, result->evaluation_prompts, {});
  ASSERT_GT(base.n_predictable, 5u);
  PlainMetrics base_control;
  for (const Prompt& prompt : given.controls) base_control.Add(prompt, {}, std::nullopt);
  for (const AblationArm* arm : ArmsOf(*result)) {
    const PlainMetrics sums = SumOver(given, result->evaluation_prompts, arm->heads);
    PlainMetrics control;
    for (const Prompt& prompt : given.controls) control.Add(prompt, arm->heads, std::nullopt);
    EXPECT_EQ(arm->metrics.n_predictable, sums.n_predictable);
    EXPECT_EQ(arm->metrics.n_other, sums.n_other);
    EXPECT_EQ(arm->metrics.n_control, control.n_other);
    EXPECT_NEAR(*arm->metrics.copy_accuracy, sums.hits / sums.n_predictable, 1e-12);
    EXPECT_NEAR(*arm->metrics.copy_nll, sums.copy_nll / sums.n_predictable, 1e-12);
    EXPECT_NEAR(*arm->metrics.other_nll, sums.other_nll / sums.n_other, 1e-12);
    EXPECT_NEAR(*arm->metrics.control_nll, control.other_nll / control.n_other, 1e-12);
    if (arm == &result->baseline) {
      for (const Metric metric : kMetrics) EXPECT_FALSE(arm->delta.of(metric));
      continue;
    }
    EXPECT_NEAR(arm->delta.copy_accuracy->value, (sums.hits - base.hits) / sums.n_predictable, 1e-12);
    EXPECT_NEAR(arm->delta.copy_nll->value, (sums.copy_nll - base.copy_nll) / sums.n_predictable, 1e-12);
    EXPECT_NEAR(arm->delta.other_nll->value, (sums.other_nll - base.other_nll) / sums.n_other, 1e-12);
    EXPECT_NEAR(arm->delta.control_nll->value, (control.other_nll - base_control.other_nll) / control.n_other,
                1e-12);
    EXPECT_FALSE(arm->delta.copy_nll->interval);
  }
}

INSTANTIATE_TEST_SUITE_P(Causal, MetricsOfArms,
                         testing::Combine(testing::Values(Antecedents::kFirst, Antecedents::kNearest,
                                                          Antecedents::kAll),
                                          testing::Values(0u, 1u)));

TEST(Causal, HeadsAreRankedOnTheSelectionHalfAlone) {
  const Given given;
  FakeModel model = HashedModel();
  model.prompts_per_wave = 2;
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<double> sums(kLayers * kHeads);
  size_t n_operations = 0;
  for (const uint32_t i : result->selection_prompts) {
    const Prompt& prompt = given.prompts[i];
    for (const CopyOperation& operation :
         PlainCopyOperations(prompt.tokens, 1, ScoreKind::kInduction, Antecedents::kFirst, 2)) {
      ++n_operations;
      for (const uint32_t key : operation.keys) {
        for (uint32_t at = 0; at < sums.size(); ++at) {
          sums[at] += HashedAttention(prompt.tokens, at / kHeads, at % kHeads, operation.query, key);
        }
      }
    }
  }
  ASSERT_GT(n_operations, 0u);
  for (size_t at = 0; at < sums.size(); ++at) {
    EXPECT_NEAR(result->selection_scores[at], sums[at] / static_cast<double>(n_operations), 1e-7);
  }
  const auto score = [&](const Head& head) { return sums[head.layer * kHeads + head.head]; };
  ASSERT_EQ(result->top_heads.size(), 2u);
  EXPECT_GT(score(result->top_heads[0]), score(result->top_heads[1]));
  EXPECT_EQ(
      std::count_if(sums.begin(), sums.end(), [&](double sum) { return sum > score(result->top_heads[1]); }),
      1);
  EXPECT_FALSE(result->chosen_by_user);
  EXPECT_EQ(result->top_k.heads, result->top_heads);
}

TEST(Causal, TiesGoToTheLowerLayerThenTheLowerHead) {
  FakeModel model(kLayers, kHeads, [](auto, uint32_t layer, uint32_t head, uint32_t, uint32_t) {
    return layer == 2 && head == 3 ? 0.5 : 0.25;
  });
  model.predictor = HashedPrediction;
  Given given;
  given.causal.top_k = 3;
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->top_heads, ElementsAre(Head{2, 3}, Head{0, 0}, Head{0, 1}));
}

TEST(Causal, IntervalsArePairedByPromptWithinTheStrataOfTheEvaluationHalf) {
  Given given;
  given.options.bootstrap_resamples = 200;
  given.options.seed = 9;
  given.controls = {{.tokens = {0, 1, 2, 3}, .n_bos = 1}, {.tokens = {0, 4, 5, 6, 1}, .n_bos = 1}};
  FakeModel model = HashedModel();
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->resamples, 200u);

  std::vector<Prompt> evaluation;
  std::vector<PlainMetrics> base;
  std::vector<uint32_t> n_predictable, n_other;
  for (const uint32_t i : result->evaluation_prompts) {
    evaluation.push_back(given.prompts[i]);
    base.push_back(SumOver(given, {&i, 1}, {}));
    n_predictable.push_back(base.back().n_predictable);
    n_other.push_back(base.back().n_other);
  }
  const Strata strata = StratifyPrompts(evaluation);
  const AblationArm& arm = result->matched_k.draws[1];
  const auto expect = [&](const std::vector<uint32_t>& counts, double PlainMetrics::*sum,
                          const DeltaEstimate& delta) {
    const Resampler resampler(strata, counts, 9);
    std::vector<double> weights(counts.size());
    std::vector<double> values;
    for (uint64_t r = 0; r < 200; ++r) {
      const double positions = resampler.Draw(r, weights);
      double difference = 0;
      for (size_t i = 0; i < weights.size(); ++i) {
        const PlainMetrics own = SumOver(given, {&result->evaluation_prompts[i], 1}, arm.heads);
        difference += weights[i] * (own.*sum - base[i].*sum);
      }
      values.push_back(difference / positions);
    }
    const Interval expected = IntervalOf(values, TailShare(strata));
    EXPECT_NEAR(delta.interval->low, expected.low, 1e-9);
    EXPECT_NEAR(delta.interval->high, expected.high, 1e-9);
    EXPECT_LT(delta.interval->low, delta.interval->high);
  };
  expect(n_predictable, &PlainMetrics::hits, *arm.delta.copy_accuracy);
  expect(n_predictable, &PlainMetrics::copy_nll, *arm.delta.copy_nll);
  expect(n_other, &PlainMetrics::other_nll, *arm.delta.other_nll);
  EXPECT_TRUE(arm.delta.control_nll->interval);
}

TEST(Causal, ManyArmsHaveTheIntervalsThatFewHave) {  // more arms than are resampled together
  Given few, many;
  few.options.bootstrap_resamples = many.options.bootstrap_resamples = 50;
  few.causal.heads = many.causal.heads = {{0, 0}};
  few.causal.random_k = many.causal.random_k = 4;
  few.causal.random_draws = 1;
  many.causal.random_draws = 100;
  FakeModel model = HashedModel();
  const auto of_few = MeasureArmsOf(model, few), of_many = MeasureArmsOf(model, many);
  ASSERT_TRUE(of_few.ok() && of_many.ok());
  ASSERT_EQ(of_many->random_k.draws.size(), 100u);
  const AblationArm& last = of_many->random_k.draws[99];
  few.causal.heads = last.heads;
  const auto alone = MeasureArmsOf(model, few);
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->top_k.delta.copy_nll->interval->low, last.delta.copy_nll->interval->low);
  EXPECT_EQ(alone->top_k.delta.other_nll->interval->high, last.delta.other_nll->interval->high);
}

TEST(Causal, PValuesCountTheDrawsThatReachTheTopHeads) {
  Given given;
  given.causal.random_draws = 9;
  std::set<double> seen;
  for (given.options.seed = 0; given.options.seed < 20; ++given.options.seed) {
    FakeModel model = HashedModel();
    const auto result = MeasureArmsOf(model, given);
    ASSERT_TRUE(result.ok()) << result.status();
    for (const ControlArm* control : {&result->random_k, &result->matched_k}) {
      const size_t n = control->draws.size();
      double nll = 1, accuracy = 1, mean_nll = 0, mean_accuracy = 0, mean_other = 0;
      for (const AblationArm& draw : control->draws) {
        nll += draw.delta.copy_nll->value >= result->top_k.delta.copy_nll->value;
        accuracy += draw.delta.copy_accuracy->value <= result->top_k.delta.copy_accuracy->value;
        mean_nll += draw.delta.copy_nll->value / static_cast<double>(n);
        mean_accuracy += draw.delta.copy_accuracy->value / static_cast<double>(n);
        mean_other += draw.delta.other_nll->value / static_cast<double>(n);
      }
      EXPECT_NEAR(*control->p_copy_nll, nll / (1.0 + n), 1e-12);
      EXPECT_NEAR(*control->p_copy_accuracy, accuracy / (1.0 + n), 1e-12);
      EXPECT_NEAR(*control->smallest_p, 1 / (1.0 + n), 1e-12);
      EXPECT_NEAR(*control->delta_mean.copy_nll, mean_nll, 1e-12);
      EXPECT_NEAR(*control->delta_mean.copy_accuracy, mean_accuracy, 1e-12);
      EXPECT_NEAR(*control->delta_mean.other_nll, mean_other, 1e-12);
      EXPECT_FALSE(control->delta_mean.control_nll);
      seen.insert(*control->p_copy_nll);
    }
    EXPECT_EQ(result->check->delta_top, result->top_k.delta.copy_accuracy->value);
    EXPECT_EQ(result->check->delta_rand, *result->random_k.delta_mean.copy_accuracy);
    EXPECT_EQ(result->check->delta_top_below_delta_rand,
              result->check->delta_top < result->check->delta_rand);
  }
  EXPECT_GT(seen.size(), 5u);
}

TEST(Causal, HeadsThatCopyStandOutFromBothControls) {
  FakeModel model(kLayers, kHeads, [](auto, uint32_t layer, uint32_t head, uint32_t, uint32_t) {
    return layer == 1 && head < 2 ? 0.9 : 0.1;
  });
  model.predictor = [](std::span<const Head> heads, auto, uint32_t) -> Prediction {
    const auto copying =
        std::count_if(heads.begin(), heads.end(), [](Head h) { return h.layer == 1 && h.head < 2; });
    return {.nll = 1.0f + static_cast<float>(copying), .correct = copying == 0};
  };
  const auto result = MeasureArmsOf(model, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->top_heads, ElementsAre(Head{1, 0}, Head{1, 1}));
  EXPECT_EQ(result->check->delta_top, -1);
  EXPECT_GT(result->check->delta_rand, -1);
  EXPECT_TRUE(result->check->delta_top_below_delta_rand);
  EXPECT_NEAR(*result->random_k.p_copy_nll, 1.0 / 6, 1e-12);
  EXPECT_EQ(result->matched_k.n_possible, 5);  // two of the four heads of layer 1, but for the top heads
  EXPECT_NEAR(*result->matched_k.p_copy_nll, 1.0 / 6, 1e-12);
  EXPECT_NEAR(*result->matched_k.p_copy_accuracy, 5.0 / 6, 1e-12) << "one copying head less is as bad";
  EXPECT_THAT(result->warnings, IsEmpty());
}

TEST(Causal, EverySetOfHeadsIsMeasuredOnceInOnePass) {
  FakeModel model = HashedModel();
  Given given;
  given.causal.heads = {{1, 0}};
  given.causal.random_k = 1;
  given.causal.random_draws = 100;  // all 11 heads, 3 of them of the same layer
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->random_k.draws.size(), 11u);
  EXPECT_EQ(result->matched_k.draws.size(), 3u);
  ASSERT_EQ(model.ablation_passes.size(), 1u);
  EXPECT_EQ(model.ablation_passes[0].variants.size(), 13u);
  EXPECT_TRUE(model.ablation_passes[0].variants[0].empty());
  EXPECT_EQ(model.ablation_passes[0].first_position, 1);
  EXPECT_TRUE(model.last_replacement.empty());
  EXPECT_FALSE(model.last_pass.on_head_outputs);
}

TEST(Causal, MeanAblationPutsInTheMeansOfTheSelectionHalf) {
  FakeModel model = HashedModel();
  model.prompts_per_wave = 2;
  model.head_output = [](std::span<const int32_t> tokens, uint32_t layer, uint32_t head, uint32_t position,
                         int64_t k) {
    return tokens[position] + 10.0 * layer + 0.1 * head + 0.01 * position * static_cast<double>(k);
  };
  Given given;
  given.causal.ablation = Ablation::kMean;
  given.controls = {{.tokens = {0, 1, 2, 3}, .n_bos = 1}};
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->ablation, Ablation::kMean);
  ASSERT_EQ(model.last_replacement.size(), kLayers * kHeads * 2);
  for (uint32_t at = 0; at < model.last_replacement.size(); ++at) {
    double sum = 0;
    size_t n_positions = 0;
    for (const uint32_t i : result->selection_prompts) {
      const std::vector<int32_t>& tokens = given.prompts[i].tokens;
      for (uint32_t t = 1; t < tokens.size(); ++t, ++n_positions) {
        sum += model.head_output(tokens, at / 2 / kHeads, at / 2 % kHeads, t, at % 2);
      }
    }
    EXPECT_NEAR(model.last_replacement[at], sum / static_cast<double>(n_positions), 1e-5);
  }
  EXPECT_EQ(model.ablation_passes.size(), 2u);  // the controls get the same vectors
  EXPECT_EQ(model.ablation_passes[0].replacement.size(), model.ablation_passes[1].replacement.size());
}

TEST(Causal, TheUsersHeadsAreAblatedInsteadOfTheBest) {
  FakeModel model = HashedModel();
  Given given;
  given.causal.heads = {{2, 3}, {0, 1}, {1, 0}};
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->chosen_by_user);
  EXPECT_EQ(result->top_heads, given.causal.heads);
  EXPECT_EQ(result->selection_scores.size(), kLayers * kHeads);
  EXPECT_FALSE(result->random_k.p_copy_nll);  // sets of 2 against 3 heads
  EXPECT_FALSE(result->random_k.p_copy_accuracy);
  EXPECT_TRUE(result->random_k.smallest_p);
  EXPECT_TRUE(result->matched_k.p_copy_nll);
  EXPECT_THAT(result->warnings,
              ElementsAre(HasSubstr("random_k ablates 2 heads, top_k 3, so random_k has no p")));
}

TEST(Causal, FaultyHeadsAreRefused) {
  FakeModel model = HashedModel();
  Given given;
  const auto refuse = [&](std::vector<Head> heads) {
    given.causal.heads = std::move(heads);
    const absl::Status status = MeasureArmsOf(model, given).status();
    EXPECT_EQ(FieldOf(status), "heads");
    return std::string(status.message());
  };
  EXPECT_THAT(refuse({{0, 0}, {3, 1}}), HasSubstr("no head 3.1; layers are 0 to 2, heads 0 to 3"));
  EXPECT_THAT(refuse({{0, 4}}), HasSubstr("no head 0.4"));
  EXPECT_THAT(refuse({{0, 0}, {1, 1}, {0, 0}}), HasSubstr("head 0.0 is given twice"));
  given.causal.heads = {};
  given.causal.top_k = 13;
  const absl::Status status = MeasureArmsOf(model, given).status();
  EXPECT_EQ(FieldOf(status), "evaluation.causal_top_k");
  EXPECT_THAT(std::string(status.message()), HasSubstr("13 heads are to be ablated, the model has 12"));
  EXPECT_TRUE(model.ablation_passes.empty());
}

TEST(Causal, WhereTheTopHeadsAreAllHeadsControlsHaveAReasonInsteadOfDraws) {
  FakeModel model = HashedModel();
  Given given;
  given.causal.top_k = given.causal.random_k = 12;
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  for (const ControlArm* control : {&result->random_k, &result->matched_k}) {
    EXPECT_THAT(control->draws, IsEmpty());
    EXPECT_FALSE(control->reason.empty());
    EXPECT_EQ(control->n_possible, 0);
    EXPECT_FALSE(control->smallest_p || control->p_copy_nll || control->delta_mean.copy_nll);
  }
  EXPECT_FALSE(result->check);
  EXPECT_TRUE(result->top_k.delta.copy_nll);
  EXPECT_EQ(result->warnings.size(), 2u);
}

TEST(Causal, TwoPromptsAreNeededAndGiveNoIntervals) {
  FakeModel model = HashedModel();
  Given given;
  given.options.bootstrap_resamples = 10;
  given.prompts.resize(1);
  const absl::Status status = MeasureArmsOf(model, given).status();
  EXPECT_EQ(FieldOf(status), "prompts");
  EXPECT_THAT(std::string(status.message()), HasSubstr("needs two prompts at least"));
  given.prompts = {{.tokens = Hashed(1, 30, 1), .n_bos = 1}, {.tokens = Hashed(2, 30, 1), .n_bos = 1}};
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->resamples, 0u);
  EXPECT_FALSE(result->top_k.delta.copy_nll->interval);
  EXPECT_THAT(result->warnings,
              testing::Contains(HasSubstr("the evaluation half: there is one prompt only")));
}

TEST(Causal, ASelectionHalfWithoutOperationsIsAnErrorThatNamesIt) {
  FakeModel model = HashedModel();
  Given given;
  given.prompts = {{.tokens = {0, 1, 2, 3}, .n_bos = 1}, {.tokens = {0, 4, 5, 6}, .n_bos = 1}};
  const absl::Status status = MeasureArmsOf(model, given).status();
  EXPECT_EQ(ReasonOf(status), reason::kNoCopyOperations);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("the selection half: "), HasSubstr("the prompt holds no")));
}

TEST(Causal, WithoutPredictablePositionsThereIsNoCopyMetric) {
  FakeModel model = HashedModel();
  Given given;
  // Tokens come back, pairs don't.
  given.prompts = {{.tokens = {0, 1, 2, 3, 1, 4, 2}, .n_bos = 1},
                   {.tokens = {0, 5, 6, 7, 5, 8, 6}, .n_bos = 1}};
  const auto result = MeasureArmsOf(model, given);
  ASSERT_TRUE(result.ok()) << result.status();
  for (const AblationArm* arm : ArmsOf(*result)) {
    EXPECT_FALSE(arm->metrics.copy_accuracy || arm->metrics.copy_nll || arm->metrics.control_nll);
    EXPECT_FALSE(arm->delta.copy_accuracy || arm->delta.copy_nll);
    EXPECT_TRUE(arm->metrics.other_nll);
    EXPECT_EQ(arm->metrics.n_predictable, 0u);
    EXPECT_EQ(arm->metrics.n_other, 5u);
  }
  EXPECT_FALSE(result->random_k.p_copy_nll || result->matched_k.p_copy_accuracy || result->check);
  EXPECT_TRUE(result->random_k.smallest_p && result->random_k.delta_mean.other_nll);
  EXPECT_THAT(result->warnings, ElementsAre(HasSubstr("no position of the evaluation half is predictable")));
}

TEST(Causal, ResultsRepeatForASeedAndChangeWithIt) {
  FakeModel model = HashedModel();
  Given given, other;
  given.options.bootstrap_resamples = 20;
  other.options = given.options;
  other.options.seed = 124;
  const auto a = MeasureArmsOf(model, given), b = MeasureArmsOf(model, given),
             c = MeasureArmsOf(model, other);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(a->evaluation_prompts, b->evaluation_prompts);
  EXPECT_NE(a->evaluation_prompts, c->evaluation_prompts);
  for (size_t i = 0; i < a->random_k.draws.size(); ++i) {
    EXPECT_EQ(a->random_k.draws[i].heads, b->random_k.draws[i].heads);
    EXPECT_EQ(a->random_k.draws[i].delta.copy_nll->value, b->random_k.draws[i].delta.copy_nll->value);
    EXPECT_EQ(a->random_k.draws[i].delta.copy_nll->interval->low,
              b->random_k.draws[i].delta.copy_nll->interval->low);
  }
}

TEST(Causal, LayersAndProgressOfAllPassesAreReported) {
  FakeModel model = HashedModel();
  Given given;
  given.controls = {{.tokens = {0, 1, 2, 3}, .n_bos = 1}};
  std::vector<uint32_t> layers;
  std::vector<double> progress;
  const auto result = MeasureArmsOf(
      model, given,
      [&](const LayerScores& scores) {
        layers.push_back(scores.layer);
        return absl::OkStatus();
      },
      [&](double share) { progress.push_back(share); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(layers, ElementsAre(0, 1, 2));
  EXPECT_TRUE(std::is_sorted(progress.begin(), progress.end()));
  EXPECT_GT(progress.front(), 0);
  EXPECT_LT(progress.front(), 0.2);
  EXPECT_NEAR(progress.back(), 1, 1e-12);
}

TEST(Causal, LikelihoodsThatAreNotFiniteAreAnErrorThatSaysWhere) {
  FakeModel model = HashedModel();
  model.predictor = [](std::span<const Head> heads, auto, uint32_t position) -> Prediction {
    const bool bad = heads.size() == 2 && position == 4;
    return {.nll = bad ? std::numeric_limits<float>::quiet_NaN() : 1.0f};
  };
  const absl::Status status = MeasureArmsOf(model, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), reason::kNonFiniteScores);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("the evaluation half: the model without 2 heads"), HasSubstr("token 5 of prompt 0")));
}

TEST(Causal, StopsWhenAsked) {
  FakeModel model = HashedModel();
  std::stop_source stop;
  model.predictor = [&](std::span<const Head> heads, auto, uint32_t) -> Prediction {
    if (!heads.empty()) stop.request_stop();
    return {};
  };
  const Given given;
  const absl::Status status =
      MeasureCausal(model, given.prompts, {}, given.options, given.causal, stop.get_token(), {}, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace induct::analysis
