#include "server/analysis/nulls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "common/status.h"
#include "server/analysis/bootstrap_t.h"
#include "server/analysis/resampling.h"
#include "tests/analysis/fake_model.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pointwise;

// Prompts of several lags and lengths behind a BOS, tokens that come more than twice, and one without
// operations.
std::vector<Prompt> PromptsWithCandidates() {
  return {{.task = "ABAB", .lag = 4, .tokens = {0, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}, .n_bos = 1},
          {.task = "ABAB", .lag = 4, .tokens = {0, 9, 8, 7, 6, 9, 8, 7, 6}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 5, 5, 6, 5, 7, 6, 6, 0, 5, 0, 7, 8, 9, 5, 6}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 1, 2, 3}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7, 3, 3, 3}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 2, 9, 4, 7, 2, 9, 5, 4, 7, 8, 5}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 6, 1, 8, 3, 5, 1, 6, 8, 3, 5, 2}, .n_bos = 1}};
}

// One prompt's sums over its operations with candidates, as the definition reads: a loop over all candidates.
struct PlainNull {
  std::vector<double> observed = std::vector<double>(kScores), null = std::vector<double>(kScores);
  uint32_t count = 0, dropped = 0;

  PlainNull(const Prompt& prompt, const ProfileOptions& options, const std::map<uint32_t, double>* lags) {
    const uint32_t step = options.score == ScoreKind::kInduction ? 1 : 0;
    const uint32_t smallest = std::max(options.min_lag, options.score == ScoreKind::kInduction ? 2u : 1u);
    const std::vector<int32_t>& x = prompt.tokens;
    for (const CopyOperation& operation :
         PlainCopyOperations(x, prompt.n_bos, options.score, options.antecedents, options.min_lag)) {
      const uint32_t t = operation.query;
      std::map<uint32_t, double> weights;
      double total = 0;
      for (uint32_t s = prompt.n_bos; s + smallest <= t; ++s) {
        if (x[s] == x[t]) continue;
        const double weight = lags == nullptr ? 1 : lags->contains(t - s) ? lags->at(t - s) : 0;
        weights[s] = weight;
        total += weight;
      }
      if (total == 0) {
        ++dropped;
        continue;
      }
      ++count;
      for (uint32_t i = 0; i < kScores; ++i) {
        const auto p = [&](uint32_t key) { return HashedAttention(x, i / kHeads, i % kHeads, t, key); };
        observed[i] += p(operation.keys.back());
        for (const auto& [s, weight] : weights) null[i] += weight / total * p(s + step);
      }
    }
  }
};

std::map<uint32_t, double> LagCounts(const std::vector<Prompt>& prompts, const ProfileOptions& options) {
  std::map<uint32_t, double> counts;
  for (const Prompt& prompt : prompts) {
    for (const CopyOperation& operation : PlainCopyOperations(prompt.tokens, prompt.n_bos, options.score,
                                                              options.antecedents, options.min_lag))
      ++counts[operation.lag];
  }
  return counts;
}

absl::StatusOr<NullsResult> MeasureNullsOf(const std::vector<Prompt>& prompts, const ProfileOptions& options,
                                           const NullOptions& nulls = {.null_resamples = 199,
                                                                       .permutation_resamples = 99}) {
  FakeModel model(kLayers, kHeads, HashedAttention);
  model.prompts_per_wave = 2;
  return MeasureNulls(model, prompts, options, nulls, {}, {}, {});
}

class MeasuresNullsAsDefined
    : public testing::TestWithParam<std::tuple<ScoreKind, Antecedents, uint32_t, bool>> {};

TEST_P(MeasuresNullsAsDefined, ByHeadLayerAndPrompt) {
  const auto [score, antecedents, min_lag, matched] = GetParam();
  const ProfileOptions options{.score = score,
                               .antecedents = antecedents,
                               .min_lag = min_lag,
                               .high_score_quantile = 0.5,
                               .bootstrap_resamples = 50};
  const std::vector<Prompt> prompts = PromptsWithCandidates();
  const auto result = MeasureNullsOf(prompts, options);
  ASSERT_TRUE(result.ok()) << result.status();
  const AntecedentNull& null = matched ? result->shuffled->lag_matched : result->shuffled->uniform;

  const std::map<uint32_t, double> lags = LagCounts(prompts, options);
  std::vector<double> observed(kScores), null_mean(kScores), effects, each;
  std::vector<uint32_t> counts;
  uint32_t count = 0, dropped = 0, n_prompts = 0;
  for (const Prompt& prompt : prompts) {
    const PlainNull plain(prompt, options, matched ? &lags : nullptr);
    count += plain.count;
    dropped += plain.dropped;
    n_prompts += plain.count > 0;
    counts.push_back(plain.count);
    for (uint32_t i = 0; i < kScores; ++i) {
      observed[i] += plain.observed[i];
      null_mean[i] += plain.null[i];
      effects.push_back(plain.observed[i] - plain.null[i]);
      if (plain.count > 0) each.push_back(effects.back());
    }
  }
  std::vector<double> effect;
  for (uint32_t i = 0; i < kScores; ++i) {
    observed[i] /= count;
    null_mean[i] /= count;
    effect.push_back(observed[i] - null_mean[i]);
  }
  EXPECT_EQ(null.n_copy_ops, count);
  EXPECT_EQ(null.n_dropped, dropped);
  EXPECT_EQ(null.n_prompts, n_prompts);
  EXPECT_EQ(null.reason, "");
  EXPECT_THAT(null.heads.observed, Pointwise(DoubleNear(kFloatRounding), observed));
  EXPECT_THAT(null.heads.null_mean, Pointwise(DoubleNear(kFloatRounding), null_mean));
  EXPECT_THAT(null.heads.effect, Pointwise(DoubleNear(kFloatRounding), effect));

  // Layers: the heads that the profile keeps.
  const std::vector<uint32_t> kept = RankHeads(result->profile.chosen_scores(), kLayers, kHeads, 2);
  EXPECT_THAT(null.layers.effect, Pointwise(DoubleNear(kFloatRounding),
                                            MeansOfKept(std::span<const double>(effect), kept, kLayers)));

  // Intervals: the resamples that the profile's bootstrap draws.
  const Strata strata = StratifyPrompts(prompts);
  const Resampler resampler(strata, counts, options.seed);
  std::vector<double> first_head, last_layer;
  for (uint32_t r = 0; r < 50; ++r) {
    std::vector<double> weights(prompts.size());
    const double n = resampler.Draw(r, weights);
    std::vector<double> resampled(kScores);
    for (size_t b = 0; b < prompts.size(); ++b) {
      for (uint32_t i = 0; i < kScores; ++i) resampled[i] += weights[b] * effects[b * kScores + i] / n;
    }
    first_head.push_back(resampled[0]);
    last_layer.push_back(MeansOfKept(std::span<const double>(resampled), kept, kLayers).back());
  }
  ASSERT_EQ(null.heads.intervals.size(), kScores);
  const Interval of_head = IntervalOf(first_head, TailShare(strata));
  EXPECT_NEAR(null.heads.intervals[0].low, of_head.low, kFloatRounding);
  EXPECT_NEAR(null.heads.intervals[0].high, of_head.high, kFloatRounding);
  EXPECT_NEAR(null.layers.intervals.back().low, IntervalOf(last_layer, TailShare(strata)).low,
              kFloatRounding);

  // p: the bootstrap-t test, which has its own reference, of the prompts' summed effects.
  if (n_prompts < kMinTestedPrompts) {
    EXPECT_THAT(null.heads.p_adjusted, testing::IsEmpty());
    EXPECT_THAT(null.layers.p_adjusted, testing::IsEmpty());
    return;
  }
  const auto p_values = BootstrapT({.values = each,
                                    .n_prompts = n_prompts,
                                    .n_layers = kLayers,
                                    .n_heads = kHeads,
                                    .n_kept = 2,
                                    .resamples = 199,
                                    .seed = options.seed},
                                   {});
  EXPECT_THAT(null.heads.p_adjusted, Pointwise(DoubleNear(0.02), p_values->heads)) << "float32 rounds";
  EXPECT_THAT(null.layers.p_adjusted, Pointwise(DoubleNear(0.02), p_values->layers));
}

INSTANTIATE_TEST_SUITE_P(Kinds, MeasuresNullsAsDefined,
                         testing::Combine(testing::Values(ScoreKind::kInduction, ScoreKind::kDuplicate),
                                          testing::Values(Antecedents::kFirst, Antecedents::kNearest,
                                                          Antecedents::kAll),
                                          testing::Values(1u, 3u), testing::Bool()));

TEST(NullsTest, TheProfileIsWhatAProfileAloneMeasures) {
  const std::vector<Prompt> prompts = PromptsWithCandidates();
  FakeModel model(kLayers, kHeads, HashedAttention);
  std::vector<uint32_t> layers;
  const auto alone = MeasureProfile(model, prompts, {}, {}, {}, {});
  const auto nulls = MeasureNulls(model, prompts, {}, {}, {},
                                  [&](const LayerScores& scores) {
                                    layers.push_back(scores.layer);
                                    EXPECT_EQ(scores.kinds.size(), 3u);
                                    return absl::OkStatus();
                                  },
                                  {});
  ASSERT_TRUE(alone.ok() && nulls.ok()) << nulls.status();
  EXPECT_THAT(layers, testing::ElementsAre(0, 1, 2));
  EXPECT_EQ(nulls->profile.prompt_scores, alone->prompt_scores);
  EXPECT_EQ(nulls->profile.per_layer, alone->per_layer);
  EXPECT_EQ(nulls->profile.bootstrap->centroid_rel.mean, alone->bootstrap->centroid_rel.mean);
}

TEST(NullsTest, WhatIsNotAskedForIsAbsentAndNotRead) {
  const std::vector<Prompt> prompts = PromptsWithCandidates();
  FakeModel model(kLayers, kHeads, HashedAttention);
  const auto result =
      MeasureNulls(model, prompts, {}, {.shuffle = false, .head_permutation = false}, {}, {}, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->shuffled.has_value());
  EXPECT_FALSE(result->permutation.has_value());
  EXPECT_EQ(model.last_pass.n_groups, 3);
}

TEST(NullsTest, PreviousHasNoAntecedentToShuffle) {
  const auto result = MeasureNullsOf(PromptsWithCandidates(), {.score = ScoreKind::kPrevious});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->shuffled.has_value());
  EXPECT_TRUE(result->permutation.has_value());
}

TEST(NullsTest, OneLagOnlyHasNoLagMatchedNullAndSaysWhy) {
  const std::vector<Prompt> prompts = {{.task = "RANDOM", .lag = 4, .tokens = {1, 2, 3, 4, 1, 2, 3, 4}},
                                       {.task = "RANDOM", .lag = 4, .tokens = {5, 6, 7, 8, 5, 6, 7, 8}}};
  const auto result = MeasureNullsOf(prompts, {});
  ASSERT_TRUE(result.ok()) << result.status();
  const AntecedentNull& matched = result->shuffled->lag_matched;
  EXPECT_EQ(matched.n_copy_ops, 0u);
  EXPECT_EQ(matched.n_dropped, 8u);
  EXPECT_EQ(matched.n_prompts, 0u);
  EXPECT_THAT(matched.heads.observed, IsEmpty());
  EXPECT_THAT(matched.heads.p_adjusted, IsEmpty());
  EXPECT_THAT(matched.reason, HasSubstr("all operations have lag 4"));
  EXPECT_EQ(result->shuffled->uniform.n_copy_ops + result->shuffled->uniform.n_dropped, 8u);
}

TEST(NullsTest, EveryOperationDroppedIsAReasonAndNoError) {
  // At lag 3 with min_lag 3 the antecedent is the first position: nothing earlier is far enough.
  const std::vector<Prompt> prompts = {{.task = "TEXT", .tokens = {1, 2, 3, 1}},
                                       {.task = "TEXT", .tokens = {5, 6, 7, 5}}};
  const auto result = MeasureNullsOf(prompts, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->shuffled->uniform.n_dropped, 2u);
  EXPECT_EQ(result->shuffled->uniform.n_copy_ops, 0u);
  EXPECT_THAT(result->shuffled->uniform.reason, HasSubstr("no operation has a candidate"));
}

TEST(NullsTest, OnePromptHasNeitherIntervalsNorP) {
  const auto result = MeasureNullsOf({PromptsWithCandidates()[2]}, {.min_lag = 1});
  ASSERT_TRUE(result.ok()) << result.status();
  const AntecedentNull& uniform = result->shuffled->uniform;
  EXPECT_EQ(uniform.n_prompts, 1u);
  EXPECT_EQ(uniform.heads.effect.size(), kScores);
  EXPECT_THAT(uniform.heads.intervals, IsEmpty());
  EXPECT_THAT(uniform.heads.p_adjusted, IsEmpty());
  EXPECT_THAT(result->profile.warnings, testing::Contains(HasSubstr("one prompt")));
}

TEST(NullsTest, AHeadThatCopiesStandsOutAndOneAtAFixedDistanceDoesNot) {
  // Head 0 attends to the successor of the antecedent, not to the same degree in every prompt; head 1 three
  // positions back, whatever is there.
  const Pattern pattern = [](std::span<const int32_t> x, uint32_t, uint32_t head, uint32_t t, uint32_t s) {
    if (head == 1) return s == (t < 3 ? 0 : t - 3) ? 1.0 : 0.0;
    const double strength = 0.9 - 0.001 * x[0];
    for (uint32_t a = t; a-- > 0;) {
      if (x[a] == x[t]) return s == a + 1 ? strength : s == t ? 1 - strength : 0.0;
    }
    return s == 0 ? 1.0 : 0.0;
  };
  std::vector<Prompt> prompts;
  for (int32_t i = 0; i < 24; ++i) {
    const int32_t lag = i % 2 == 0 ? 4 : 6;
    Prompt& prompt = prompts.emplace_back(Prompt{.task = "RANDOM", .lag = static_cast<uint32_t>(lag)});
    for (int32_t t = 0; t < 2 * lag; ++t) prompt.tokens.push_back(i * 10 + t % lag);
  }
  FakeModel model(1, 2, pattern);
  const auto result = MeasureNulls(model, prompts, {}, {}, {}, {}, {});
  ASSERT_TRUE(result.ok()) << result.status();
  const AntecedentNull& matched = result->shuffled->lag_matched;
  ASSERT_GT(matched.n_copy_ops, 0u);
  EXPECT_GT(matched.heads.effect[0], 0.6);
  EXPECT_LT(matched.heads.p_adjusted[0], 0.01);
  EXPECT_GT(matched.heads.p_adjusted[1], 0.05);
}

TEST(NullsTest, CancellingEndsIt) {
  std::stop_source stop;
  stop.request_stop();
  FakeModel model(kLayers, kHeads, HashedAttention);
  EXPECT_TRUE(absl::IsCancelled(
      MeasureNulls(model, PromptsWithCandidates(), {}, {}, stop.get_token(), {}, {}).status()));
}

TEST(NullsTest, NoOperationsIsAnError) {
  const auto result = MeasureNullsOf({{.task = "TEXT", .tokens = {1, 2, 3}}}, {});
  EXPECT_EQ(ReasonOf(result.status()), reason::kNoCopyOperations);
}

}  // namespace
}  // namespace induct::analysis
