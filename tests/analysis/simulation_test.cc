// Simulations on synthetic numbers, without a model: do intervals cover, do tests keep their size, have they
// power? Seeds are fixed, so that every run sees the same data.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "server/analysis/bootstrap.h"
#include "server/analysis/bootstrap_t.h"
#include "server/analysis/cross_size.h"
#include "server/analysis/head_permutation.h"
#include "server/analysis/layer_profile.h"
#include "server/analysis/random.h"
#include "tests/analysis/simulated_model.h"

namespace induct::analysis {
namespace {

constexpr double kLevels[] = {0.01, 0.05, 0.1, 0.2};

// Of data sets under the null, no more may have p <= a than a and three binomial standard errors.
void ExpectSize(const std::vector<double>& p_values) {
  const auto n = static_cast<double>(p_values.size());
  for (const double a : kLevels) {
    double rejected = 0;
    for (const double p : p_values) rejected += p <= a;
    EXPECT_LE(rejected / n, a + 3 * std::sqrt(a * (1 - a) / n)) << "at level " << a;
  }
}

double Smallest(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

constexpr uint32_t kTestedLayers = 5, kTestedHeads = 4, kTestedPrompts = 24;

// Effects of 24 prompts on 5 layers of 4 heads that share each prompt's noise. `planted` is added to the
// first head of the last layer.
TestedEffects Effects(uint64_t data_set, Skew skew, double planted) {
  Random random(7, "effects", data_set);
  TestedEffects effects{.n_prompts = kTestedPrompts,
                        .n_layers = kTestedLayers,
                        .n_heads = kTestedHeads,
                        .n_kept = 1,
                        .resamples = 199,
                        .seed = data_set};
  for (uint32_t prompt = 0; prompt < kTestedPrompts; ++prompt) {
    const double size = 0.1 + DrawUniform(random), shared = DrawNoise(random, skew);
    for (uint32_t i = 0; i < kTestedLayers * kTestedHeads; ++i) {
      const double noise = size * (0.5 * shared + DrawNoise(random, skew));
      effects.values.push_back(noise + (i == (kTestedLayers - 1) * kTestedHeads ? planted : 0));
    }
  }
  return effects;
}

class BootstrapTSimulation : public testing::TestWithParam<Skew> {};
INSTANTIATE_TEST_SUITE_P(Skews, BootstrapTSimulation,
                         testing::Values(Skew::kNone, Skew::kRight, Skew::kLeft));

// Of 400 data sets without any effect at most 0.075 may have a p <= 0.05, and three standard errors.
TEST_P(BootstrapTSimulation, TheSmallestAdjustedPKeepsItsSizeUnderTheNull) {
  constexpr int kDataSets = 400;
  int by_head = 0, by_layer = 0;
  for (uint64_t data_set = 0; data_set < kDataSets; ++data_set) {
    const auto p = BootstrapT(Effects(data_set, GetParam(), 0), {});
    ASSERT_TRUE(p.ok());
    by_head += Smallest(p->heads) <= 0.05;
    by_layer += Smallest(p->layers) <= 0.05;
  }
  EXPECT_LE(by_head, 0.115 * kDataSets);
  EXPECT_LE(by_layer, 0.115 * kDataSets);
}

TEST_P(BootstrapTSimulation, APlantedEffectIsFoundAndOnlyThere) {
  constexpr size_t kPlanted = (kTestedLayers - 1) * kTestedHeads;
  for (uint64_t data_set = 0; data_set < 20; ++data_set) {
    const auto p = BootstrapT(Effects(data_set, GetParam(), 1.5), {});
    ASSERT_TRUE(p.ok());
    EXPECT_LT(p->heads[kPlanted], 0.02) << "data set " << data_set;
    EXPECT_LT(p->layers.back(), 0.02) << "data set " << data_set;
    EXPECT_GT(Smallest({p->heads.begin(), p->heads.begin() + kPlanted}), 0.005);
    EXPECT_GT(Smallest({p->layers.begin(), p->layers.end() - 1}), 0.005);
  }
}

// Scores of 12 x 8 heads, any two as likely to be the highest.
std::vector<float> ExchangeableScores(uint64_t data_set) {
  Random random(11, "scores", data_set);
  std::vector<float> scores(12 * 8);
  for (float& score : scores) score = static_cast<float>(DrawUniform(random));
  return scores;
}

TEST(HeadPermutationSimulation, AdjustedPAndDepthSpreadKeepTheirSizeUnderTheNull) {
  std::vector<double> smallest, spread;
  for (uint64_t data_set = 0; data_set < 600; ++data_set) {
    const auto result = PermuteHeads(ExchangeableScores(data_set), {12, 8, 8}, 0.9, 299, data_set, {});
    ASSERT_TRUE(result.ok());
    smallest.push_back(Smallest(result->p_adjusted));
    spread.push_back(result->depth_spread->p);
  }
  ExpectSize(smallest);
  ExpectSize(spread);
}

TEST(HeadPermutationSimulation, HighHeadsThatGatherInTwoLayersAreFound) {
  std::vector<float> scores = ExchangeableScores(1);
  for (int head = 0; head < 10; ++head) scores[5 * 8 + head] += 2;  // 8 heads of layer 5 and 2 of layer 6
  const auto result = PermuteHeads(scores, {12, 8, 8}, 0.9, 9999, 3, {});
  ASSERT_TRUE(result.ok());
  EXPECT_LT(result->p_adjusted[5], 0.01);
  EXPECT_LT(result->depth_spread->p, 0.01);
  EXPECT_GT(Smallest({result->p_adjusted.begin(), result->p_adjusted.begin() + 5}), 0.05);
}

constexpr uint32_t kSimulatedLayers = 6, kSimulatedHeads = 4, kPrompts = 48, kDataSets = 300;

// What every head would score over endless prompts.
std::vector<float> TrueScores() {
  std::vector<float> scores;
  for (uint32_t layer = 0; layer < kSimulatedLayers; ++layer) {
    for (uint32_t head = 0; head < kSimulatedHeads; ++head)
      scores.push_back(0.05f +
                       0.6f * static_cast<float>(std::exp(-0.5 * std::pow(layer - 3.3, 2))) / (1 + head));
  }
  return scores;
}

// One data set: prompts with 1 to 12 operations, whose scores vary by prompt, by layer in it, and by head.
void DrawPrompts(uint64_t data_set, std::span<const float> truth, std::vector<double>& sums,
                 std::vector<uint32_t>& counts) {
  Random random(13, "coverage", data_set);
  sums.clear();
  counts.clear();
  for (uint32_t prompt = 0; prompt < kPrompts; ++prompt) {
    const auto n = static_cast<uint32_t>(1 + random.Below(12));
    counts.push_back(n);
    const double of_prompt = 0.7 + 0.6 * DrawUniform(random);
    for (uint32_t layer = 0; layer < kSimulatedLayers; ++layer) {
      const double of_layer = 0.6 + 0.8 * DrawUniform(random);
      for (uint32_t head = 0; head < kSimulatedHeads; ++head)
        sums.push_back(n * truth[layer * kSimulatedHeads + head] * of_prompt * of_layer *
                       (0.5 + DrawUniform(random)));
    }
  }
}

// In how many of the data sets the interval of the centroid holds the true one.
double Coverage(Aggregation aggregation) {
  const std::vector<float> truth = TrueScores();
  const uint32_t n_kept = HeadsKept(aggregation, 0.5, kSimulatedHeads);
  const std::vector<uint32_t> kept = RankHeads(truth, kSimulatedLayers, kSimulatedHeads, n_kept);
  std::vector<double> curve;
  for (uint32_t layer = 0; layer < kSimulatedLayers; ++layer) {
    curve.push_back(MeanOfKept(std::span(truth).subspan(layer * kSimulatedHeads, kSimulatedHeads),
                               std::span(kept).subspan(layer * n_kept, n_kept)));
  }
  const double centroid = *SummarizeProfile(curve)->centroid_rel;
  const Strata strata{.of_prompt = std::vector<uint32_t>(kPrompts, 0), .count = 1};
  uint32_t held = 0;
  std::vector<double> sums;
  std::vector<uint32_t> counts;
  for (uint64_t data_set = 0; data_set < kDataSets; ++data_set) {
    DrawPrompts(data_set, truth, sums, counts);
    const auto bootstrap = BootstrapProfile({.sums = sums,
                                             .counts = counts,
                                             .n_layers = kSimulatedLayers,
                                             .n_heads = kSimulatedHeads,
                                             .kept = kept,
                                             .n_kept = n_kept,
                                             .strata = &strata,
                                             .resamples = 400,
                                             .seed = data_set},
                                            {});
    EXPECT_TRUE(bootstrap.ok());
    const Interval interval = bootstrap->centroid_rel.interval;
    held += interval.low <= centroid && centroid <= interval.high;
  }
  return held / static_cast<double>(kDataSets);
}

// In how many of the data sets the paired interval of the centroids' difference holds the true one. The
// second model has the first one's curve a layer deeper, and each prompt is easy or hard for both.
double PairedCoverage() {
  const std::vector<float> truth = TrueScores();
  std::vector<float> deeper = truth;
  std::rotate(deeper.begin(), deeper.end() - kSimulatedHeads, deeper.end());
  const uint32_t n_kept = kSimulatedHeads;
  const std::vector<uint32_t> kept = RankHeads(truth, kSimulatedLayers, kSimulatedHeads, n_kept);
  const auto curve = [&](std::span<const double> sums, std::span<const uint32_t> counts) {
    std::vector<double> values(kSimulatedLayers);
    double operations = 0;
    for (const uint32_t count : counts) operations += count;
    for (size_t i = 0; i < sums.size(); ++i)
      values[i / kSimulatedHeads % kSimulatedLayers] += sums[i] / kSimulatedHeads / operations;
    return values;
  };
  const auto true_curve = [&](const std::vector<float>& scores) {
    return curve(std::vector<double>(scores.begin(), scores.end()), std::vector<uint32_t>{1});
  };
  const double difference = *SummarizeProfile(true_curve(deeper))->centroid_rel -
                            *SummarizeProfile(true_curve(truth))->centroid_rel;
  const Strata strata{.of_prompt = std::vector<uint32_t>(kPrompts, 0), .count = 1};
  uint32_t held = 0;
  std::vector<double> sums_a, sums_b;
  std::vector<uint32_t> counts;
  for (uint64_t data_set = 0; data_set < kDataSets; ++data_set) {
    DrawPrompts(data_set, truth, sums_a, counts);
    DrawPrompts(data_set, deeper, sums_b, counts);  // the same draws: prompts vary together
    const std::vector<double> curve_a = curve(sums_a, counts), curve_b = curve(sums_b, counts);
    const auto side = [&](const std::vector<double>& per_layer, const std::vector<double>& sums) {
      return ComparedProfile{.per_layer = per_layer,
                             .bootstrap = {.sums = sums,
                                           .counts = counts,
                                           .n_layers = kSimulatedLayers,
                                           .n_heads = kSimulatedHeads,
                                           .kept = kept,
                                           .n_kept = n_kept,
                                           .strata = &strata,
                                           .resamples = 400,
                                           .seed = data_set}};
    };
    const auto result = CompareProfiles(side(curve_a, sums_a), side(curve_b, sums_b), true, {});
    EXPECT_TRUE(result.ok());
    const Interval interval = *result->centroid_rel->interval;
    held += interval.low <= difference && difference <= interval.high;
  }
  return held / static_cast<double>(kDataSets);
}

TEST(BootstrapSimulation, ThePairedIntervalOfTwoCentroidsDifferenceCovers) {
  const double coverage = PairedCoverage();
  EXPECT_GE(coverage, 0.90);
  EXPECT_LE(coverage, 0.98);
}

TEST(BootstrapSimulation, TheIntervalOfAMeanProfilesCentroidCovers) {
  const double coverage = Coverage(Aggregation::kMean);
  EXPECT_GE(coverage, 0.90);
  EXPECT_LE(coverage, 0.98);
}

TEST(BootstrapSimulation, TheIntervalOfATopqProfilesCentroidCoversWithItsHeadsHeldFixed) {
  const double coverage = Coverage(Aggregation::kTopQ);
  EXPECT_GE(coverage, 0.90);
  EXPECT_LE(coverage, 0.98);
}

}  // namespace
}  // namespace induct::analysis
