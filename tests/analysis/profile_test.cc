#include "server/analysis/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/status.h"
#include "tests/analysis/fake_model.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Prompts of several tasks, lags and lengths, one of them without operations, behind a BOS.
std::vector<Prompt> MixedPrompts() {
  return {{.task = "ABAB", .lag = 4, .tokens = {0, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}, .n_bos = 1},
          {.task = "ABAB", .lag = 4, .tokens = {0, 9, 8, 7, 6, 9, 8, 7, 6}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 5, 5, 6, 5, 7, 6, 6, 0, 5, 0, 7, 8, 9, 5, 6}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 1, 2, 3}, .n_bos = 1},
          {.task = "TEXT", .tokens = {0, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7, 3}, .n_bos = 1}};
}

absl::StatusOr<ProfileResult> MeasureScores(FakeModel& model, const std::vector<Prompt>& prompts,
                                            const ProfileOptions& options = {}) {
  return MeasureProfile(model, prompts, options, {}, {}, {});
}

// One prompt's sums [L, H] and its operations, by the definition.
struct PlainSums {
  std::vector<double> sums;
  uint32_t count = 0;

  PlainSums(const Prompt& prompt, ScoreKind kind, const ProfileOptions& options, uint32_t n_layers,
            uint32_t n_heads)
      : sums(n_layers * n_heads) {
    const auto operations =
        PlainCopyOperations(prompt.tokens, prompt.n_bos, kind, options.antecedents, options.min_lag);
    count = operations.size();
    for (const CopyOperation& operation : operations) {
      for (const uint32_t key : operation.keys) {
        for (uint32_t i = 0; i < sums.size(); ++i) {
          sums[i] += HashedAttention(prompt.tokens, i / n_heads, i % n_heads, operation.query, key);
        }
      }
    }
  }
};

class MeasuresAsDefined : public testing::TestWithParam<std::tuple<ScoreKind, Antecedents, uint32_t>> {};

TEST_P(MeasuresAsDefined, ForEveryKindAndWave) {
  const auto [score, antecedents, min_lag] = GetParam();
  const ProfileOptions options{
      .score = score, .antecedents = antecedents, .min_lag = min_lag, .bootstrap_resamples = 0};
  const std::vector<Prompt> prompts = MixedPrompts();
  FakeModel model(3, 4, HashedAttention);
  model.prompts_per_wave = 2;
  const auto result = MeasureScores(model, prompts, options);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->scores.size(), 3u);
  for (const HeadScores& scores : result->scores) {
    std::vector<double> total(12);
    uint64_t n_copy_ops = 0;
    for (size_t b = 0; b < prompts.size(); ++b) {
      const PlainSums plain(prompts[b], scores.kind, options, 3, 4);
      n_copy_ops += plain.count;
      for (size_t i = 0; i < 12; ++i) total[i] += plain.sums[i];
      if (scores.kind != score) continue;
      EXPECT_EQ(result->prompt_counts[b], plain.count);
      for (size_t i = 0; i < 12; ++i) {
        const double mean = plain.count == 0 ? 0 : plain.sums[i] / plain.count;
        EXPECT_NEAR(result->prompt_scores[b * 12 + i], mean, kFloatRounding);
      }
    }
    EXPECT_EQ(scores.n_copy_ops, n_copy_ops);
    for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(scores.values[i], total[i] / n_copy_ops, kFloatRounding);
    if (scores.kind == score) {
      EXPECT_EQ(result->n_copy_ops, n_copy_ops);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Options, MeasuresAsDefined,
                         testing::Combine(testing::ValuesIn(kScoreKinds),
                                          testing::Values(Antecedents::kFirst, Antecedents::kNearest,
                                                          Antecedents::kAll),
                                          testing::Values(0, 1, 2, 3, 4)));

// The head looks at what followed the earlier occurrence of its token, or at itself.
double InductionHead(std::span<const int32_t> tokens, uint32_t, uint32_t, uint32_t query, uint32_t key) {
  for (uint32_t s = 0; s < query; ++s) {
    if (tokens[s] == tokens[query]) return key == s + 1 ? 1.0 : 0.0;
  }
  return key == query ? 1.0 : 0.0;
}

double PreviousTokenHead(std::span<const int32_t>, uint32_t, uint32_t, uint32_t query, uint32_t key) {
  return key + 1 == query ? 1.0 : 0.0;
}

float ScoreOf(const ProfileResult& result, ScoreKind kind) {
  for (const HeadScores& scores : result.scores) {
    if (scores.kind == kind) return scores.values[0];
  }
  return -1;
}

TEST(MeasureProfile, GivesAnIdealInductionHeadOneAlsoWithManyRepeats) {
  FakeModel model(1, 1, InductionHead);
  const auto result = MeasureScores(model, MixedPrompts());
  ASSERT_TRUE(result.ok());
  EXPECT_FLOAT_EQ(ScoreOf(*result, ScoreKind::kInduction), 1);
  EXPECT_FLOAT_EQ(ScoreOf(*result, ScoreKind::kDuplicate), 0);
  EXPECT_FLOAT_EQ(ScoreOf(*result, ScoreKind::kPrevious), 0);
}

TEST(MeasureProfile, TellsAPreviousTokenHeadFromAnInductionHead) {
  FakeModel model(1, 1, PreviousTokenHead);
  const auto result = MeasureScores(model, MixedPrompts());
  ASSERT_TRUE(result.ok());
  EXPECT_FLOAT_EQ(ScoreOf(*result, ScoreKind::kPrevious), 1);
  EXPECT_FLOAT_EQ(ScoreOf(*result, ScoreKind::kInduction), 0);
}

TEST(MeasureProfile, KeepsAndAveragesTheHighestHeadsOfThePublishedScores) {
  FakeModel model(3, 16, HashedAttention);
  const auto result = MeasureScores(model, MixedPrompts());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->n_heads_kept, 2u);
  const std::vector<float>& scores = result->scores[0].values;
  ASSERT_EQ(result->scores[0].kind, ScoreKind::kInduction);
  for (size_t layer = 0; layer < 3; ++layer) {
    std::vector<double> sorted(scores.begin() + layer * 16, scores.begin() + (layer + 1) * 16);
    std::sort(sorted.rbegin(), sorted.rend());
    EXPECT_DOUBLE_EQ(result->per_layer[layer], (sorted[0] + sorted[1]) / 2);
  }
  ASSERT_TRUE(result->statistics);
  EXPECT_EQ(result->statistics->peak_layer,
            std::max_element(result->per_layer.begin(), result->per_layer.end()) - result->per_layer.begin());
}

TEST(MeasureProfile, ListsTheTenTopHeadsBestFirstWithTheirIntervals) {
  FakeModel model(3, 4, HashedAttention);
  const auto result = MeasureScores(model, MixedPrompts(), {.bootstrap_resamples = 50});
  ASSERT_TRUE(result.ok());
  std::vector<float> sorted = result->scores[0].values;
  std::sort(sorted.rbegin(), sorted.rend());
  ASSERT_EQ(result->top_heads.size(), 10u);
  ASSERT_TRUE(result->bootstrap);
  for (size_t i = 0; i < 10; ++i) {
    const TopHead& top = result->top_heads[i];
    EXPECT_EQ(top.score, sorted[i]);
    EXPECT_EQ(top.score, result->scores[0].values[top.layer * 4 + top.head]);
    ASSERT_TRUE(top.interval);
    EXPECT_EQ(top.interval->low, result->bootstrap->heads[top.layer * 4 + top.head].low);
  }
}

TEST(MeasureProfile, BootstrapsWithTheStrataOfItsPrompts) {
  FakeModel model(2, 4, HashedAttention);
  const std::vector<Prompt> prompts = MixedPrompts();
  const auto result = MeasureScores(model, prompts, {.bootstrap_resamples = 100, .seed = 8});
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result->bootstrap);
  EXPECT_THAT(result->warnings, IsEmpty());
  // The published scores and counts of the prompts are enough to draw the same intervals again.
  std::vector<double> sums(result->prompt_scores.begin(), result->prompt_scores.end());
  for (size_t i = 0; i < sums.size(); ++i) sums[i] *= result->prompt_counts[i / 8];
  const std::vector<uint32_t> kept = RankHeads(result->scores[0].values, 2, 4, 1);
  const Strata strata = StratifyPrompts(prompts);
  const auto again = BootstrapProfile({.sums = sums,
                                       .counts = result->prompt_counts,
                                       .n_layers = 2,
                                       .n_heads = 4,
                                       .kept = kept,
                                       .n_kept = 1,
                                       .strata = &strata,
                                       .resamples = 100,
                                       .seed = 8},
                                      {});
  ASSERT_TRUE(again.ok());
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(result->bootstrap->heads[i].low, again->heads[i].low, 1e-6);
    EXPECT_NEAR(result->bootstrap->heads[i].high, again->heads[i].high, 1e-6);
  }
  EXPECT_NEAR(result->bootstrap->centroid_rel.mean, again->centroid_rel.mean, 1e-6);
}

TEST(MeasureProfile, PassesOnTheWarningOfTheStrata) {
  std::vector<Prompt> prompts = MixedPrompts();
  prompts[1].lag = 8;
  FakeModel model(2, 2, HashedAttention);
  const auto result = MeasureScores(model, prompts, {.bootstrap_resamples = 20});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->warnings, ElementsAre(HasSubstr("one stratum")));
}

TEST(MeasureProfile, HasNoIntervalsWithOnePromptOrNoResamples) {
  FakeModel model(2, 2, HashedAttention);
  const auto one_prompt = MeasureScores(model, {MixedPrompts()[0]});
  ASSERT_TRUE(one_prompt.ok());
  EXPECT_FALSE(one_prompt->bootstrap);
  EXPECT_FALSE(one_prompt->top_heads[0].interval);
  EXPECT_THAT(one_prompt->warnings, ElementsAre(HasSubstr("one prompt")));

  const auto none_asked = MeasureScores(model, MixedPrompts(), {.bootstrap_resamples = 0});
  ASSERT_TRUE(none_asked.ok());
  EXPECT_FALSE(none_asked->bootstrap);
  EXPECT_THAT(none_asked->warnings, IsEmpty());
}

TEST(MeasureProfile, WarnsOfIntervalsFromTheOperationsOfOnePrompt) {
  FakeModel model(2, 2, HashedAttention);
  const auto result = MeasureScores(model, {MixedPrompts()[3], MixedPrompts()[4]});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->bootstrap->per_layer[0].low, result->bootstrap->per_layer[0].high);
  EXPECT_THAT(result->warnings, ElementsAre(HasSubstr("one prompt alone has operations")));
}

TEST(MeasureProfile, AZeroProfileHasNoStatistics) {
  FakeModel model(2, 2, [](auto...) { return 0.0; });
  const auto result = MeasureScores(model, MixedPrompts());
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->statistics);
  EXPECT_THAT(result->per_layer, Each(0.0));
  EXPECT_THAT(result->warnings, ElementsAre(HasSubstr("0 in every layer")));
}

TEST(MeasureProfile, AKindWithoutOperationsIsAbsent) {
  FakeModel model(1, 1, HashedAttention);
  const std::vector<Prompt> prompts = {{.tokens = {1, 2, 3}}};  // nothing comes back
  const auto result = MeasureScores(model, prompts, {.score = ScoreKind::kPrevious});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->scores.size(), 1u);
  EXPECT_EQ(result->scores[0].kind, ScoreKind::kPrevious);
}

TEST(MeasureProfile, StreamsEachLayerOnceAndFinal) {
  FakeModel model(3, 2, HashedAttention);
  model.prompts_per_wave = 2;
  std::vector<LayerScores> streamed;
  double progress = 0;
  const auto result = MeasureProfile(
      model, MixedPrompts(), {}, {},
      [&](const LayerScores& scores) {
        streamed.push_back(scores);
        return absl::OkStatus();
      },
      [&](double share) { progress = share; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(progress, 1.0);
  ASSERT_EQ(streamed.size(), 3u);
  for (uint32_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(streamed[layer].layer, layer);
    ASSERT_EQ(streamed[layer].kinds.size(), 3u);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(streamed[layer].kinds[k].kind, result->scores[k].kind);
      EXPECT_EQ(streamed[layer].kinds[k].n_copy_ops, result->scores[k].n_copy_ops);
      for (size_t head = 0; head < 2; ++head) {
        EXPECT_EQ(static_cast<float>(streamed[layer].kinds[k].values[head]),
                  result->scores[k].values[layer * 2 + head]);
      }
    }
  }
}

TEST(MeasureProfile, RunsOnePassAsTheOptionsSay) {
  FakeModel model(1, 1, HashedAttention);
  ASSERT_TRUE(MeasureScores(model, MixedPrompts(), {.batch_size = 7, .activation_budget = 12345}).ok());
  EXPECT_EQ(model.last_pass.batch_size, 7);
  EXPECT_EQ(model.last_pass.activation_budget, 12345);
  EXPECT_EQ(model.last_pass.prompts.size(), 5u);
  EXPECT_FALSE(model.last_pass.on_residual);
}

TEST(MeasureProfile, NamesLayerAndHeadOfNonFiniteScores) {
  FakeModel model(3, 4, [](std::span<const int32_t>, uint32_t layer, uint32_t head, uint32_t, uint32_t) {
    return layer == 1 && head == 2 ? std::numeric_limits<double>::quiet_NaN() : 0.1;
  });
  const absl::Status in_float32 = MeasureScores(model, MixedPrompts()).status();
  EXPECT_EQ(in_float32.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(in_float32), reason::kNonFiniteScores);
  EXPECT_THAT(std::string(in_float32.message()), HasSubstr("layer 1, head 2"));
  EXPECT_THAT(std::string(in_float32.message()), HasSubstr("weights"));

  model.load_options.dtype = DType::kFloat16;
  EXPECT_THAT(std::string(MeasureScores(model, MixedPrompts()).status().message()),
              HasSubstr("try dtype float32"));
}

TEST(MeasureProfile, RefusesPromptsWithoutCopyOperationsOfTheChosenKind) {
  FakeModel model(1, 1, HashedAttention);
  const absl::Status status = MeasureScores(model, {{.tokens = {1, 2, 1}}, {.tokens = {4, 5}}},
                                            {.antecedents = Antecedents::kNearest, .min_lag = 5})
                                  .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(status), reason::kNoCopyOperations);
  for (const char* part : {"2 prompts", "induction", "nearest", "min_lag 5"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
  EXPECT_EQ(ReasonOf(MeasureScores(model, {{.tokens = {1}}}, {.score = ScoreKind::kPrevious}).status()),
            reason::kNoCopyOperations);
}

TEST(MeasureProfile, RefusesBadArguments) {
  FakeModel model(1, 1, HashedAttention);
  EXPECT_EQ(FieldOf(MeasureScores(model, {}).status()), "prompts");
  std::vector<Prompt> unequal = MixedPrompts();
  unequal[2].n_bos = 0;
  EXPECT_THAT(std::string(MeasureScores(model, unequal).status().message()), HasSubstr("prompt 2"));
  for (const double quantile : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    const absl::Status status =
        MeasureScores(model, MixedPrompts(), {.high_score_quantile = quantile}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldOf(status), "evaluation.high_score_quantile");
  }
}

TEST(MeasureProfile, EndsWithTheErrorOfItsSink) {
  FakeModel model(3, 2, HashedAttention);
  const auto result =
      MeasureProfile(model, MixedPrompts(), {}, {},
                     [](const LayerScores&) { return absl::UnavailableError("disk full"); }, {});
  EXPECT_EQ(result.status(), absl::UnavailableError("disk full"));
}

TEST(MeasureProfile, EndsWhenStopped) {
  FakeModel model(3, 2, HashedAttention);
  std::stop_source stop;
  const auto result = MeasureProfile(model, MixedPrompts(), {}, stop.get_token(),
                                     [&](const LayerScores&) {
                                       stop.request_stop();
                                       return absl::OkStatus();
                                     },
                                     {});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  const auto before_the_pass = MeasureProfile(model, MixedPrompts(), {}, stop.get_token(), {}, {});
  EXPECT_EQ(before_the_pass.status().code(), absl::StatusCode::kCancelled);
}

TEST(MeasureProfile, DoesNotTakeAPassThatEndedEarlyForAResult) {
  FakeModel model(3, 2, HashedAttention);
  model.layers_left_out = 1;
  EXPECT_EQ(MeasureScores(model, MixedPrompts()).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace induct::analysis
