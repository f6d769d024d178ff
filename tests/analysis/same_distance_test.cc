// The null of a fixed distance against plain loops, and what it is for.
#include "server/analysis/same_distance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "server/analysis/nulls.h"
#include "tests/analysis/fake_model.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pointwise;

// Blocks of `lag` tokens, twice, behind a BOS.
Prompt Block(uint32_t lag, int32_t first) {
  Prompt prompt{.task = "RANDOM", .lag = lag, .tokens = {0}, .n_bos = 1};
  for (uint32_t t = 0; t < 2 * lag; ++t) prompt.tokens.push_back(first + static_cast<int32_t>(t % lag));
  return prompt;
}

// Three lags, two prompts of each, and a text whose tokens come at several lags.
std::vector<Prompt> PromptsOfLags() {
  return {Block(4, 1),
          Block(6, 20),
          Block(9, 40),
          Block(4, 7),
          Block(6, 60),
          Block(9, 80),
          {.task = "TEXT", .tokens = {0, 1, 2, 3, 4, 1, 5, 2, 6, 7, 3, 1, 2, 8, 9, 6}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 9, 8, 7, 6, 5, 9, 8, 6, 5, 4, 7, 3, 2, 1, 4}, .n_bos = 1}};
}

// The definition, read literally: what a resample that holds each prompt `weights` times gives, [L, H].
struct PlainSameDistance {
  std::vector<double> observed = std::vector<double>(kScores), null_mean = std::vector<double>(kScores);
  double total = 0, dropped = 0;

  PlainSameDistance(const std::vector<Prompt>& prompts, const ProfileOptions& options,
                    const std::vector<double>& weights) {
    const uint32_t step = options.score == ScoreKind::kInduction ? 1 : 0;
    struct Operation {
      const Prompt* prompt;
      CopyOperation operation;
      double weight;
    };
    std::vector<Operation> all;
    for (size_t i = 0; i < prompts.size(); ++i) {
      for (const CopyOperation& operation : PlainCopyOperations(
               prompts[i].tokens, prompts[i].n_bos, options.score, options.antecedents, options.min_lag))
        all.push_back({&prompts[i], operation, weights[i]});
    }
    const auto p = [](const Prompt& prompt, uint32_t query, uint32_t key, uint32_t i) {
      return HashedAttention(prompt.tokens, i / kHeads, i % kHeads, query, key);
    };
    for (const Operation& own : all) {
      std::vector<double> reference(kScores);
      double n = 0;
      for (const Operation& other : all) {
        const uint32_t query = other.operation.query, lag = own.operation.lag;
        const std::vector<int32_t>& x = other.prompt->tokens;
        if (query < other.prompt->n_bos + lag || x[query - lag] == x[query]) continue;
        n += other.weight;
        for (uint32_t i = 0; i < kScores; ++i)
          reference[i] += other.weight * p(*other.prompt, query, query - lag + step, i);
      }
      if (n == 0) {
        dropped += own.weight;
        continue;
      }
      total += own.weight;
      for (uint32_t i = 0; i < kScores; ++i) {
        observed[i] += own.weight * p(*own.prompt, own.operation.query, own.operation.keys.back(), i);
        null_mean[i] += own.weight * reference[i] / n;
      }
    }
    for (uint32_t i = 0; i < kScores; ++i) {
      observed[i] /= total;
      null_mean[i] /= total;
    }
  }

  std::vector<double> effect() const {
    std::vector<double> effect;
    for (uint32_t i = 0; i < kScores; ++i) effect.push_back(observed[i] - null_mean[i]);
    return effect;
  }
};

AntecedentNull MeasureSameDistance(const std::vector<Prompt>& prompts, const ProfileOptions& options) {
  FakeModel model(kLayers, kHeads, HashedAttention);
  const auto result = MeasureNulls(model, prompts, options, {.null_resamples = 19}, {}, {}, {});
  EXPECT_TRUE(result.ok()) << result.status();
  return result->shuffled->same_distance;
}

class SameDistance : public testing::TestWithParam<std::tuple<ScoreKind, Antecedents>> {};
INSTANTIATE_TEST_SUITE_P(Kinds, SameDistance,
                         testing::Combine(testing::Values(ScoreKind::kInduction, ScoreKind::kDuplicate),
                                          testing::Values(Antecedents::kFirst, Antecedents::kNearest)));

TEST_P(SameDistance, MeansAndIntervalsAreThoseOfPlainLoops) {
  const auto [score, antecedents] = GetParam();
  const ProfileOptions options{.score = score,
                               .antecedents = antecedents,
                               .high_score_quantile = 0.5,
                               .bootstrap_resamples = 40,
                               .seed = 3};
  const std::vector<Prompt> prompts = PromptsOfLags();
  const AntecedentNull null = MeasureSameDistance(prompts, options);
  const PlainSameDistance plain(prompts, options, std::vector<double>(prompts.size(), 1));
  EXPECT_EQ(null.n_copy_ops, plain.total);
  EXPECT_EQ(null.n_dropped, 0u);
  EXPECT_EQ(null.reason, "");
  EXPECT_THAT(null.heads.observed, Pointwise(DoubleNear(1e-6), plain.observed));
  EXPECT_THAT(null.heads.null_mean, Pointwise(DoubleNear(1e-6), plain.null_mean));
  EXPECT_THAT(null.heads.effect, Pointwise(DoubleNear(1e-6), plain.effect()));
  EXPECT_THAT(null.heads.p_adjusted, IsEmpty());
  EXPECT_THAT(null.layers.p_adjusted, IsEmpty());

  const Strata strata = StratifyPrompts(prompts);
  std::vector<uint32_t> counts;
  for (const Prompt& prompt : prompts) {
    const auto operations =
        PlainCopyOperations(prompt.tokens, prompt.n_bos, score, antecedents, options.min_lag);
    counts.push_back(static_cast<uint32_t>(operations.size()));
  }
  const Resampler resampler(strata, counts, options.seed);
  std::vector<double> weights(prompts.size()), second_head;
  for (uint64_t r = 0; r < 40; ++r) {
    resampler.Draw(r, weights);
    second_head.push_back(PlainSameDistance(prompts, options, weights).effect()[1]);
  }
  const Interval expected = IntervalOf(second_head, TailShare(strata));
  ASSERT_EQ(null.heads.intervals.size(), kScores);
  EXPECT_NEAR(null.heads.intervals[1].low, expected.low, 1e-6);
  EXPECT_NEAR(null.heads.intervals[1].high, expected.high, 1e-6);
  EXPECT_EQ(null.layers.intervals.size(), kLayers);
}

// Head 0 attends a fixed distance back, head 1 to what followed the antecedent.
TEST(SameDistanceNull, AHeadOfAFixedDistanceHasNoEffectAndOneThatCopiesHas) {
  FakeModel model(1, 2, [](std::span<const int32_t> x, uint32_t, uint32_t head, uint32_t t, uint32_t s) {
    if (head == 0) return t >= 5 && s == t - 5 ? 0.8 : 0.0;  // what an induction head of lag 6 reads
    for (uint32_t a = t; a-- > 1;) {
      if (x[a] == x[t]) return s == a + 1 ? 0.8 : 0.0;
    }
    return 0.0;
  });
  std::vector<Prompt> prompts;
  for (int32_t i = 0; i < 8; ++i) {
    prompts.push_back(Block(6, 100 * i + 1));
    prompts.push_back(Block(9, 100 * i + 50));
  }
  const auto result = MeasureNulls(model, prompts, {}, {.null_resamples = 199}, {}, {}, {});
  ASSERT_TRUE(result.ok()) << result.status();
  const AntecedentNull& null = result->shuffled->same_distance;
  EXPECT_NEAR(null.heads.effect[0], 0, 1e-12);
  EXPECT_NEAR(null.heads.intervals[0].low, 0, 1e-9);
  EXPECT_NEAR(null.heads.intervals[0].high, 0, 1e-9);
  EXPECT_GT(null.heads.effect[1], 0.5);
  EXPECT_GT(null.heads.intervals[1].low, 0.5);
  EXPECT_GT(std::abs(result->shuffled->lag_matched.heads.effect[0]), 0.3) << "where lag_matched has one";
}

TEST(SameDistanceNull, OneLagOnlyHasNoneAndSaysWhy) {
  const AntecedentNull null = MeasureSameDistance({Block(4, 1), Block(4, 20)}, {});
  EXPECT_EQ(null.n_copy_ops, 0u);
  EXPECT_EQ(null.n_dropped, 8u);
  EXPECT_THAT(null.heads.observed, IsEmpty());
  EXPECT_THAT(null.reason, HasSubstr("give prompts of several lags"));
}

TEST(SameDistanceNull, MoreThan64LagsAreTooMany) {
  std::vector<Prompt> prompts;
  for (uint32_t lag = 4; lag < 4 + 64; ++lag) prompts.push_back(Block(lag, 1));
  EXPECT_THAT(MeasureSameDistance(prompts, {.bootstrap_resamples = 20}).reason, IsEmpty());
  prompts.push_back(Block(70, 1));
  const AntecedentNull null = MeasureSameDistance(prompts, {.bootstrap_resamples = 20});
  EXPECT_THAT(null.reason, HasSubstr("more than 64 different lags"));
  EXPECT_EQ(null.n_copy_ops, 0u);
}

TEST(SameDistanceNull, SumsThatWouldTakeTooMuchMemoryAreNotKept) {
  const std::vector<Prompt> prompts = PromptsOfLags();
  const auto targets = FindSameDistanceTargets(prompts, ScoreKind::kInduction, Antecedents::kFirst, 3, 5,
                                               kMaxSameDistanceBytes / 16, {});
  ASSERT_TRUE(targets.ok());
  EXPECT_THAT(targets->lags, IsEmpty());
  EXPECT_EQ(targets->end_group, 5u);
  EXPECT_THAT(targets->reason, HasSubstr("give fewer prompts, or fewer lags"));
}

TEST(SameDistanceNull, WhereNoResampleHasBothSidesThereAreNoIntervals) {
  // Of two prompts a single one is drawn, which has operations of one lag and references of the other.
  const AntecedentNull null = MeasureSameDistance({Block(4, 1), Block(6, 20)}, {.bootstrap_resamples = 20});
  EXPECT_EQ(null.n_copy_ops, 10u);
  EXPECT_EQ(null.heads.effect.size(), kScores);
  EXPECT_THAT(null.heads.intervals, IsEmpty());
}

TEST(SameDistanceNull, OperationsOfALagThatNoOtherQueryReachesAreDropped) {
  const std::vector<Prompt> prompts = {Block(4, 1), Block(4, 20), Block(20, 40), Block(20, 80)};
  const ProfileOptions options{.bootstrap_resamples = 20};
  const AntecedentNull null = MeasureSameDistance(prompts, options);
  const PlainSameDistance plain(prompts, options, {1, 1, 1, 1});
  EXPECT_EQ(null.n_dropped, 40u) << "of lag 20: prompts of lag 4 have 8 tokens";
  EXPECT_EQ(plain.dropped, 40);
  EXPECT_EQ(null.n_copy_ops, 8u);
  EXPECT_EQ(null.n_prompts, 2u);
  EXPECT_THAT(null.heads.effect, Pointwise(DoubleNear(1e-6), plain.effect()));
}

TEST(SameDistanceNull, CancellingEndsIt) {
  std::stop_source stop;
  stop.request_stop();
  const std::vector<Prompt> prompts = PromptsOfLags();
  EXPECT_TRUE(absl::IsCancelled(
      FindSameDistanceTargets(prompts, ScoreKind::kInduction, Antecedents::kFirst, 3, 0, 1, stop.get_token())
          .status()));
}

}  // namespace
}  // namespace induct::analysis
