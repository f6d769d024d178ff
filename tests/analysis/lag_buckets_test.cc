#include "server/analysis/lag_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "server/analysis/resampling.h"
#include "tests/analysis/fake_model.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<Prompt> PromptsOfThreeLags() {
  std::vector<Prompt> prompts;
  for (int32_t i = 0; i < 12; ++i) {
    const auto lag = static_cast<uint32_t>(std::vector{3, 5, 9}[i % 3]);
    Prompt& prompt = prompts.emplace_back(Prompt{.task = "RANDOM", .lag = lag});
    for (uint32_t t = 0; t < 2 * lag; ++t) prompt.tokens.push_back(i * 20 + static_cast<int32_t>(t % lag));
  }
  prompts.push_back({.task = "TEXT", .tokens = {1, 2, 3, 4, 1, 5, 6, 2, 7, 8, 3, 1, 2}});
  prompts.push_back({.task = "TEXT", .tokens = {1, 2, 3, 4, 5, 6, 2, 7, 8, 3, 1, 2}});
  return prompts;
}

absl::StatusOr<LagBucketsResult> MeasureBuckets(const std::vector<Prompt>& prompts,
                                                const ProfileOptions& options, std::vector<uint32_t> edges) {
  FakeModel model(kLayers, kHeads, HashedAttention);
  model.prompts_per_wave = 5;
  return MeasureLagBuckets(model, prompts, options, edges, {}, {}, {});
}

// Sums [L, H] of one prompt's operations whose lags lie in a range, by the definition.
struct PlainBucket {
  std::vector<double> sums = std::vector<double>(kScores);
  uint32_t count = 0;

  PlainBucket(const Prompt& prompt, const ProfileOptions& options, uint32_t least, uint32_t most) {
    for (const CopyOperation& operation : PlainCopyOperations(prompt.tokens, prompt.n_bos, options.score,
                                                              options.antecedents, options.min_lag)) {
      if (operation.lag < least || operation.lag > most) continue;
      ++count;
      for (const uint32_t key : operation.keys) {
        for (uint32_t i = 0; i < kScores; ++i)
          sums[i] += HashedAttention(prompt.tokens, i / kHeads, i % kHeads, operation.query, key);
      }
    }
  }
};

class MeasuresBucketsAsDefined : public testing::TestWithParam<std::tuple<ScoreKind, Antecedents>> {};

TEST_P(MeasuresBucketsAsDefined, InOnePass) {
  const auto [score, antecedents] = GetParam();
  const ProfileOptions options{
      .score = score, .antecedents = antecedents, .high_score_quantile = 0.5, .bootstrap_resamples = 40};
  const std::vector<Prompt> prompts = PromptsOfThreeLags();
  const auto result = MeasureBuckets(prompts, options, {4, 8});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->buckets.size(), 3u);
  const std::vector<std::pair<uint32_t, uint32_t>> ranges = {{1, 4}, {5, 8}, {9, UINT32_MAX}};
  const Strata strata = StratifyPrompts(prompts);
  std::vector<std::vector<double>> sums(3);
  std::vector<std::vector<uint32_t>> counts(3), kept(3);
  for (size_t k = 0; k < 3; ++k) {
    const LagBucket& bucket = result->buckets[k];
    EXPECT_EQ(bucket.min_lag, ranges[k].first);
    EXPECT_EQ(bucket.max_lag, k == 2 ? 0 : ranges[k].second);
    std::vector<double> total(kScores);
    uint32_t n = 0;
    for (const Prompt& prompt : prompts) {
      const PlainBucket plain(prompt, options, ranges[k].first, ranges[k].second);
      n += plain.count;
      counts[k].push_back(plain.count);
      sums[k].insert(sums[k].end(), plain.sums.begin(), plain.sums.end());
      for (uint32_t i = 0; i < kScores; ++i) total[i] += plain.sums[i];
    }
    EXPECT_EQ(bucket.n_copy_ops, n);
    for (uint32_t i = 0; i < kScores; ++i) EXPECT_NEAR(bucket.scores[i], total[i] / n, 1e-7);
    // Kept heads are the bucket's own.
    kept[k] = RankHeads(bucket.scores, kLayers, kHeads, 2);
    const std::vector<double> curve = MeansOfKept(std::span<const float>(bucket.scores), kept[k], kLayers);
    EXPECT_THAT(bucket.per_layer, testing::Pointwise(testing::DoubleNear(1e-7), curve));
    EXPECT_NEAR(*bucket.statistics->centroid_rel, *SummarizeProfile(curve)->centroid_rel, 1e-6);
    EXPECT_EQ(bucket.bootstrap->resamples, 40u);
  }

  // The difference of centroids, both buckets of the same resampled prompts.
  const Resampler resampler(strata, counts[0], options.seed, counts[2]);
  std::vector<double> differences;
  for (uint32_t r = 0; r < 40; ++r) {
    std::vector<double> weights(prompts.size());
    resampler.Draw(r, weights);
    const auto centroid = [&](size_t k) {
      std::vector<double> scores(kScores);
      for (size_t b = 0; b < prompts.size(); ++b) {
        for (uint32_t i = 0; i < kScores; ++i) scores[i] += weights[b] * sums[k][b * kScores + i];
      }
      return *SummarizeProfile(MeansOfKept(std::span<const double>(scores), kept[k], kLayers))->centroid_rel;
    };
    differences.push_back(centroid(2) - centroid(0));
  }
  ASSERT_TRUE(result->centroid_difference.has_value());
  EXPECT_NEAR(result->centroid_difference->value,
              *result->buckets[2].statistics->centroid_rel - *result->buckets[0].statistics->centroid_rel,
              1e-9);
  const Interval expected = IntervalOf(differences, TailShare(strata));
  EXPECT_NEAR(result->centroid_difference->interval->low, expected.low, 1e-6);
  EXPECT_NEAR(result->centroid_difference->interval->high, expected.high, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Kinds, MeasuresBucketsAsDefined,
                         testing::Combine(testing::Values(ScoreKind::kInduction, ScoreKind::kDuplicate),
                                          testing::Values(Antecedents::kFirst, Antecedents::kAll)));

TEST(LagBucketsTest, OnlyOneBucketIsTheProfile) {
  const std::vector<Prompt> prompts = PromptsOfThreeLags();
  FakeModel model(kLayers, kHeads, HashedAttention);
  const auto profile = MeasureProfile(model, prompts, {}, {}, {}, {});
  const auto result = MeasureBuckets(prompts, {}, {});
  ASSERT_TRUE(profile.ok() && result.ok()) << result.status();
  ASSERT_EQ(result->buckets.size(), 1u);
  EXPECT_EQ(result->buckets[0].per_layer, profile->per_layer);
  EXPECT_EQ(result->buckets[0].bootstrap->centroid_rel.mean, profile->bootstrap->centroid_rel.mean);
  EXPECT_FALSE(result->centroid_difference.has_value());
}

TEST(LagBucketsTest, LayersAreStreamedOverAllLags) {
  const std::vector<Prompt> prompts = PromptsOfThreeLags();
  FakeModel model(kLayers, kHeads, HashedAttention);
  const auto profile = MeasureProfile(model, prompts, {}, {}, {}, {});
  ASSERT_TRUE(profile.ok());
  uint32_t layers = 0;
  const auto result =
      MeasureLagBuckets(model, prompts, {}, std::vector<uint32_t>{4}, {},
                        [&](const LayerScores& scores) {
                          EXPECT_EQ(scores.layer, layers++);
                          EXPECT_EQ(scores.kinds.at(0).n_copy_ops, profile->n_copy_ops);
                          for (uint32_t head = 0; head < kHeads; ++head) {
                            EXPECT_NEAR(scores.kinds[0].values[head],
                                        profile->chosen_scores()[scores.layer * kHeads + head], 1e-6);
                          }
                          return absl::OkStatus();
                        },
                        {});
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(layers, kLayers);
}

TEST(LagBucketsTest, AnEmptyBucketIsReportedAsEmpty) {
  const auto result = MeasureBuckets(PromptsOfThreeLags(), {}, {8, 100});
  ASSERT_TRUE(result.ok()) << result.status();
  const LagBucket& empty = result->buckets[2];
  EXPECT_EQ(empty.n_copy_ops, 0u);
  EXPECT_THAT(empty.scores, IsEmpty());
  EXPECT_THAT(empty.per_layer, IsEmpty());
  EXPECT_FALSE(empty.bootstrap.has_value());
  EXPECT_FALSE(result->centroid_difference.has_value());
  EXPECT_THAT(result->warnings, Contains(HasSubstr("lag 101 and more is empty")));
}

TEST(LagBucketsTest, ABucketOfOnePromptWarnsThatItsIntervalsHaveNoWidth) {
  std::vector<Prompt> prompts = PromptsOfThreeLags();
  Prompt& prompt = prompts.emplace_back(Prompt{.task = "TEXT"});
  for (int32_t t = 0; t < 40; ++t) prompt.tokens.push_back(t % 20);
  const auto result = MeasureBuckets(prompts, {}, {8, 15});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->warnings, ElementsAre(HasSubstr("lag 16 and more has operations of one prompt alone")));
  const auto without_intervals = MeasureBuckets(prompts, {.bootstrap_resamples = 0}, {8, 15});
  ASSERT_TRUE(without_intervals.ok());
  EXPECT_THAT(without_intervals->warnings, IsEmpty());
}

TEST(LagBucketsTest, PreviousHasNoLags) {
  const auto result = MeasureBuckets(PromptsOfThreeLags(), {.score = ScoreKind::kPrevious}, {8});
  EXPECT_TRUE(absl::IsInvalidArgument(result.status()));
  EXPECT_THAT(result.status().message(), HasSubstr("previous"));
}

TEST(LagBucketsTest, OnePromptHasNoIntervals) {
  const auto result = MeasureBuckets({PromptsOfThreeLags()[12]}, {}, {4});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->buckets[0].bootstrap.has_value());
  ASSERT_TRUE(result->centroid_difference.has_value());
  EXPECT_FALSE(result->centroid_difference->interval.has_value());
  EXPECT_THAT(result->warnings, Contains(HasSubstr("one prompt")));
}

TEST(LagBucketsTest, NoOperationsIsAnError) {
  const auto result = MeasureBuckets({{.task = "TEXT", .tokens = {1, 2, 3}}}, {}, {8});
  EXPECT_EQ(ReasonOf(result.status()), reason::kNoCopyOperations);
}

}  // namespace
}  // namespace induct::analysis
