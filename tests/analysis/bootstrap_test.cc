#include "server/analysis/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "server/analysis/layer_profile.h"

namespace induct::analysis {
namespace {

using testing::Each;

// Sums and counts of prompts, with what a BootstrapInput points to.
struct Data {
  uint32_t n_layers = 0, n_heads = 0, n_kept = 1;
  std::vector<double> sums;      // [N, L, H]
  std::vector<uint32_t> counts;  // [N]
  std::vector<uint32_t> kept;    // [L, n_kept]
  Strata strata;

  BootstrapInput Input(uint32_t resamples, uint64_t seed = 1) const {
    return {.sums = sums,
            .counts = counts,
            .n_layers = n_layers,
            .n_heads = n_heads,
            .kept = kept,
            .n_kept = n_kept,
            .strata = &strata,
            .resamples = resamples,
            .seed = seed};
  }
};

Strata OneStratum(size_t n_prompts) { return {.of_prompt = std::vector<uint32_t>(n_prompts, 0), .count = 1}; }

// Prompts of two strata whose means differ; some have no operation.
Data TwoStrata() {
  std::mt19937_64 generator(11);
  std::uniform_real_distribution<double> uniform(0, 1);
  Data data{.n_layers = 5,
            .n_heads = 3,
            .n_kept = 2,
            .kept = {0, 1, 2, 0, 1, 2, 0, 1, 2, 1},
            .strata = {.count = 2}};
  for (uint32_t prompt = 0; prompt < 24; ++prompt) {
    const uint32_t stratum = prompt % 3 == 0;
    data.strata.of_prompt.push_back(stratum);
    data.counts.push_back(prompt % 7 == 0 ? 0 : 1 + generator() % 9);
    for (uint32_t i = 0; i < 15; ++i) {
      const double mean = 0.1 + 0.2 * stratum + 0.05 * (i / 3 == 2);
      data.sums.push_back(data.counts.back() * (mean + 0.3 * uniform(generator)));
    }
  }
  return data;
}

// Resampled scores [L, H] by the definition, with a generator of the standard library: scores and profiles of
// each resample.
struct PlainBootstrap {
  std::vector<std::vector<double>> scores, curves;  // [L * H], [L], each of the resamples

  PlainBootstrap(const Data& data, int resamples)
      : scores(data.n_layers * data.n_heads), curves(data.n_layers) {
    std::mt19937_64 generator(99);
    for (int r = 0; r < resamples;) {
      std::vector<double> sums(scores.size());
      double n = 0;
      for (uint32_t stratum = 0; stratum < data.strata.count; ++stratum) {
        const auto size = std::count(data.strata.of_prompt.begin(), data.strata.of_prompt.end(), stratum);
        for (auto i = size - 1; i > 0; --i) {
          size_t drawn;
          do drawn = generator() % data.counts.size();
          while (data.strata.of_prompt[drawn] != stratum);
          const double weight = static_cast<double>(size) / static_cast<double>(size - 1);
          n += weight * data.counts[drawn];
          for (size_t k = 0; k < sums.size(); ++k) sums[k] += weight * data.sums[drawn * sums.size() + k];
        }
      }
      if (n == 0) continue;
      ++r;
      for (size_t k = 0; k < sums.size(); ++k) scores[k].push_back(sums[k] / n);
      for (uint32_t layer = 0; layer < data.n_layers; ++layer) {
        double total = 0;
        for (uint32_t j = 0; j < data.n_kept; ++j) {
          total += sums[layer * data.n_heads + data.kept[layer * data.n_kept + j]] / n;
        }
        curves[layer].push_back(total / data.n_kept);
      }
    }
  }
};

// The share of `values` at or below `end`.
double ShareBelow(const std::vector<double>& values, double end) {
  return std::count_if(values.begin(), values.end(), [&](double v) { return v <= end; }) /
         static_cast<double>(values.size());
}

// Both ends are quantiles of the same distribution as `values`: of 24 prompts in two strata t is 2.0739 (22
// degrees of freedom), and 1.90 % lie beyond each. The tolerance is 5 standard errors of 4000 resamples.
void ExpectIs95Percent(const Interval& interval, const std::vector<double>& values) {
  EXPECT_NEAR(ShareBelow(values, interval.low), 0.0190, 0.0109);
  EXPECT_NEAR(ShareBelow(values, interval.high), 0.9810, 0.0109);
}

TEST(BootstrapProfile, AgreesWithAPlainImplementation) {
  const Data data = TwoStrata();
  const auto result = BootstrapProfile(data.Input(4000), {});
  ASSERT_TRUE(result.ok()) << result.status();
  const PlainBootstrap plain(data, 20000);
  ASSERT_EQ(result->heads.size(), 15u);
  for (size_t k = 0; k < 15; ++k) ExpectIs95Percent(result->heads[k], plain.scores[k]);

  std::vector<double> centroids, widths, peaks(5);
  double peak_depth = 0;
  for (int r = 0; r < 20000; ++r) {
    std::vector<double> curve;
    for (const std::vector<double>& values : plain.curves) curve.push_back(values[r]);
    const auto statistics = SummarizeProfile(curve);
    centroids.push_back(*statistics->centroid_rel);
    widths.push_back(*statistics->bandwidth_interpolated);
    peaks[statistics->peak_layer] += 1 / 20000.0;
    peak_depth += statistics->peak_depth / 20000;
  }
  ASSERT_EQ(result->per_layer.size(), 5u);
  for (size_t layer = 0; layer < 5; ++layer) {
    ExpectIs95Percent(result->per_layer[layer], plain.curves[layer]);
    EXPECT_NEAR(result->peak_layer_frequency[layer], peaks[layer], 0.045);
  }
  ExpectIs95Percent(result->centroid_rel.interval, centroids);
  ExpectIs95Percent(result->bandwidth_interpolated.interval, widths);
  EXPECT_NEAR(result->centroid_rel.mean, std::accumulate(centroids.begin(), centroids.end(), 0.0) / 20000,
              1e-3);
  EXPECT_NEAR(result->bandwidth_interpolated.mean, std::accumulate(widths.begin(), widths.end(), 0.0) / 20000,
              1e-3);
  EXPECT_NEAR(result->peak_depth.mean, peak_depth, 0.02);
  EXPECT_NEAR(std::accumulate(result->peak_layer_frequency.begin(), result->peak_layer_frequency.end(), 0.0),
              1, 1e-12);
}

// Scores of prompts differ between strata alone, so nothing is left to vary within them.
TEST(BootstrapProfile, DrawsWithinStrataOnly) {
  Data data{.n_layers = 1, .n_heads = 1, .kept = {0}};
  for (uint32_t prompt = 0; prompt < 20; ++prompt) {
    data.strata.of_prompt.push_back(prompt % 2);
    data.counts.push_back(4);
    data.sums.push_back(prompt % 2 == 0 ? 0.4 : 3.6);
  }
  data.strata.count = 2;
  const auto within = BootstrapProfile(data.Input(100), {});
  ASSERT_TRUE(within.ok());
  EXPECT_NEAR(within->heads[0].low, 0.5, 1e-12);
  EXPECT_NEAR(within->heads[0].high, 0.5, 1e-12);

  data.strata = OneStratum(20);
  const auto across = BootstrapProfile(data.Input(100), {});
  ASSERT_TRUE(across.ok());
  EXPECT_LT(across->heads[0].low, 0.4);
  EXPECT_GT(across->heads[0].high, 0.6);
}

TEST(BootstrapProfile, IntervalsHoldTheTrueMeanAsOftenAsTheySay) {
  constexpr int kExperiments = 400;
  std::mt19937_64 generator(3);
  std::normal_distribution<double> normal(0.5, 0.1);
  int covered = 0;
  for (int i = 0; i < kExperiments; ++i) {
    Data data{.n_layers = 1, .n_heads = 1, .kept = {0}, .strata = OneStratum(50)};
    for (int prompt = 0; prompt < 50; ++prompt) {
      data.counts.push_back(10);
      data.sums.push_back(10 * normal(generator));
    }
    const auto result = BootstrapProfile(data.Input(300, i), {});
    ASSERT_TRUE(result.ok());
    covered += result->heads[0].low <= 0.5 && 0.5 <= result->heads[0].high;
  }
  EXPECT_NEAR(covered / double{kExperiments}, 0.94, 0.05);
}

TEST(BootstrapProfile, ResamplesWithoutOperationsAreDrawnAgain) {
  Data data{.n_layers = 2,
            .n_heads = 1,
            .sums = {0.5, 1.0, 0, 0, 0, 0},
            .counts = {2, 0, 0},
            .kept = {0, 0},
            .strata = OneStratum(3)};
  const auto result = BootstrapProfile(data.Input(200), {});
  ASSERT_TRUE(result.ok());
  EXPECT_DOUBLE_EQ(result->heads[0].low, 0.25);
  EXPECT_DOUBLE_EQ(result->heads[1].high, 0.5);
  EXPECT_DOUBLE_EQ(result->peak_layer_frequency[1], 1);
}

TEST(BootstrapProfile, ZeroCurvesPeakInTheFirstLayerAndHaveNoCentroidOrWidth) {
  Data data{.n_layers = 2,
            .n_heads = 1,
            .sums = {0, 0, 0, 0},
            .counts = {2, 3},
            .kept = {0, 0},
            .strata = OneStratum(2)};
  const auto result = BootstrapProfile(data.Input(20), {});
  ASSERT_TRUE(result.ok());
  EXPECT_DOUBLE_EQ(result->peak_depth.mean, 0.25);
  EXPECT_DOUBLE_EQ(result->peak_layer_frequency[0], 1);
  EXPECT_DOUBLE_EQ(result->centroid_rel.mean, 0);
  EXPECT_DOUBLE_EQ(result->bandwidth_interpolated.interval.high, 0);
}

TEST(BootstrapProfile, TheSameSeedGivesTheSameIntervals) {
  const Data data = TwoStrata();
  const auto a = BootstrapProfile(data.Input(100, 5), {}), b = BootstrapProfile(data.Input(100, 5), {}),
             c = BootstrapProfile(data.Input(100, 6), {});
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(a->heads[4].low, b->heads[4].low);
  EXPECT_NE(a->heads[4].low, c->heads[4].low);
}

// 5,000 resamples of 3 layers of 200 heads take more than one block. Each layer has twice the sums of the
// one before, which is exact in binary, so its intervals must be exactly twice as high if all see the same
// draws.
TEST(BootstrapProfile, BlocksOfLayersSeeTheSameResamples) {
  Data data{
      .n_layers = 3, .n_heads = 200, .counts = {3, 1, 2, 5}, .kept = {0, 0, 0}, .strata = OneStratum(4)};
  for (uint32_t prompt = 0; prompt < 4; ++prompt) {
    for (const double scale : {1, 2, 4}) {
      for (uint32_t head = 0; head < 200; ++head) {
        data.sums.push_back(scale * (1 + (prompt * 37 + head * 11) % 17) / 17.0);
      }
    }
  }
  const auto result = BootstrapProfile(data.Input(5'000), {});
  ASSERT_TRUE(result.ok());
  for (uint32_t i = 200; i < 600; ++i) {
    EXPECT_EQ(result->heads[i].low, 2 * result->heads[i - 200].low);
    EXPECT_EQ(result->heads[i].high, 2 * result->heads[i - 200].high);
  }
  EXPECT_EQ(result->peak_layer_frequency[2], 1);
}

// Of prompts without operations no sums need be there.
TEST(BootstrapProfile, RowsOfPromptsWithOperationsGiveTheSameToTheBit) {
  Data data = TwoStrata();
  std::vector<double> rows_only;
  std::vector<uint32_t> rows;
  for (size_t i = 0; i < data.counts.size(); ++i) {
    double* const sums = &data.sums[i * 15];
    rows.push_back(data.counts[i] == 0 ? kNoRow : static_cast<uint32_t>(rows_only.size() / 15));
    if (data.counts[i] > 0) rows_only.insert(rows_only.end(), sums, sums + 15);
  }
  ASSERT_LT(rows_only.size(), data.sums.size());
  BootstrapInput input = data.Input(100);
  const auto expected = ResampleScores(input, {});
  input.sums = rows_only;
  input.rows = rows;
  const auto given = ResampleScores(input, {});
  ASSERT_TRUE(expected.ok() && given.ok()) << given.status();
  EXPECT_EQ(given->curves, expected->curves);
  for (size_t k = 0; k < 15; ++k) EXPECT_EQ(given->heads[k].low, expected->heads[k].low);
}

TEST(BootstrapProfile, RefusesRowsThatAreNotThere) {
  const Data data = TwoStrata();
  std::vector<uint32_t> rows(data.counts.size());
  std::iota(rows.begin(), rows.end(), 0u);
  BootstrapInput input = data.Input(20);
  input.rows = rows;
  EXPECT_TRUE(ResampleScores(input, {}).ok());
  for (const uint32_t bad : {kNoRow, static_cast<uint32_t>(rows.size())}) {
    rows[1] = bad;  // a prompt with operations
    EXPECT_TRUE(absl::IsInvalidArgument(ResampleScores(input, {}).status()));
  }
}

TEST(BootstrapProfile, EndsWhenStopped) {
  std::stop_source stop;
  stop.request_stop();
  const Data data = TwoStrata();
  EXPECT_EQ(BootstrapProfile(data.Input(100'000), stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(BootstrapProfile, RefusesWhatCannotBeResampled) {
  const auto code = [](const Data& data, uint32_t resamples) {
    return BootstrapProfile(data.Input(resamples), {}).status().code();
  };
  const Data good = TwoStrata();
  EXPECT_EQ(code(good, 0), absl::StatusCode::kInvalidArgument);
  Data no_operations = good;
  std::fill(no_operations.counts.begin(), no_operations.counts.end(), 0u);
  EXPECT_EQ(code(no_operations, 20), absl::StatusCode::kInvalidArgument);
  Data short_sums = good;
  short_sums.sums.pop_back();
  EXPECT_EQ(code(short_sums, 20), absl::StatusCode::kInvalidArgument);
  const Data one_prompt{
      .n_layers = 1, .n_heads = 1, .sums = {1}, .counts = {2}, .kept = {0}, .strata = OneStratum(1)};
  EXPECT_EQ(code(one_prompt, 20), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace induct::analysis
