// The original experiment's numbers, from its padded token rows: docs/method.md, "Where this differs from the
// original experiment". Its definitions are computed here by plain loops over whole attention patterns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "server/analysis/attention_pattern.h"
#include "server/analysis/profile.h"
#include "server/models/model_registry.h"
#include "server/runs/prompt_source.h"

namespace induct::runs {
namespace {

constexpr size_t kLength = 40;  // of a padded row
constexpr uint32_t kPadding = 0;

// Blocks of 1, 2, 4 and 8 tokens that fill most of a row, then padding: what the original fed to its models.
std::vector<GivenPrompt> PaddedRows() {
  std::vector<GivenPrompt> rows;
  for (const size_t lag : {1, 2, 4, 8}) {
    for (uint32_t first : {260, 300}) {
      GivenPrompt& row = rows.emplace_back();
      for (size_t t = 0; t < kLength; ++t)
        row.token_ids.push_back(t < 21 + lag ? first + static_cast<uint32_t>(t % lag) : kPadding);
    }
  }
  return rows;
}

// Its induction score: the mean of P[t, s], s the nearest earlier position with the same token, padding
// included.
double OriginalScore(engine::Model& model, std::span<const analysis::Prompt> rows, engine::Head head,
                     size_t* n_operations) {
  double sum = 0;
  *n_operations = 0;
  for (const analysis::Prompt& row : rows) {
    const auto& x = row.tokens;
    const auto pattern = analysis::ReadAttentionPattern(model, x, head, {}, {}, {}).value();
    for (size_t t = 1; t < x.size(); ++t) {
      size_t s = t;
      while (s-- > 0 && x[s] != x[t]) continue;
      if (s >= t) continue;  // passed below 0
      sum += pattern[t * x.size() + s];
      ++*n_operations;
    }
  }
  return sum / static_cast<double>(*n_operations);
}

// The first layer at which the cumulative share of mass reaches `share`.
size_t ReachedAt(const std::vector<double>& curve, double share) {
  const double total = std::accumulate(curve.begin(), curve.end(), 0.0);
  double cumulative = 0;
  for (size_t layer = 0; layer < curve.size(); ++layer) {
    cumulative += curve[layer];
    if (cumulative / total >= share) return layer;
  }
  return curve.size() - 1;
}

TEST(OriginalExperiment, ItsNumbersComeFromItsPaddedRows) {
  models::ModelRegistry registry({.model_dirs = {INDUCT_SOURCE_DIR "/deploy/demo_models"}});
  const auto files = registry.Open("demo-small").value();
  const auto model = registry.Load(files, {}, models::WhenFull::kWait, {}, {}).value();
  const PromptSet set = MakePrompts({.given = PaddedRows()}, files).value();
  const auto result = analysis::MeasureProfile(*model, set.prompts,
                                               {.score = analysis::ScoreKind::kDuplicate,
                                                .antecedents = analysis::Antecedents::kNearest,
                                                .min_lag = 1,
                                                .high_score_quantile = 0.75,
                                                .bootstrap_resamples = 0},
                                               {}, {}, {});
  ASSERT_TRUE(result.ok()) << result.status();

  const auto n_layers = static_cast<uint32_t>(files->spec().n_layers);
  const auto n_heads = static_cast<uint32_t>(files->spec().n_heads);
  std::vector<double> curve;
  for (uint32_t layer = 0; layer < n_layers; ++layer) {
    std::vector<double> scores;
    for (uint32_t head = 0; head < n_heads; ++head) {
      size_t n_operations = 0;
      scores.push_back(OriginalScore(*model, set.prompts, {layer, head}, &n_operations));
      EXPECT_EQ(n_operations, result->n_copy_ops);
      EXPECT_NEAR(result->chosen_scores()[layer * n_heads + head], scores.back(), 1e-6);
    }
    std::sort(scores.rbegin(), scores.rend());
    curve.push_back((scores[0] + scores[1]) / 2);  // a quarter of 8 heads
  }
  EXPECT_THAT(result->per_layer, testing::Pointwise(testing::DoubleNear(1e-6), curve));
  const auto peak = std::max_element(curve.begin(), curve.end()) - curve.begin();
  EXPECT_EQ(result->statistics->peak_layer, peak);
  EXPECT_DOUBLE_EQ(result->statistics->peak_rel, static_cast<double>(peak) / n_layers);
  const auto width = static_cast<double>(ReachedAt(curve, 0.84) - ReachedAt(curve, 0.16) + 1);
  EXPECT_DOUBLE_EQ(*result->statistics->bandwidth, width / n_layers);
}

}  // namespace
}  // namespace induct::runs
