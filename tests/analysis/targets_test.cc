#include "server/analysis/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "server/analysis/bootstrap_t.h"
#include "server/analysis/resampling.h"
#include "tests/analysis/fake_model.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Two blocks behind a BOS, of two tasks and lags.
std::vector<Prompt> PromptsWithBos(int n = 12) {
  std::vector<Prompt> prompts;
  for (int32_t i = 0; i < n; ++i) {
    const uint32_t lag = i % 2 == 0 ? 4 : 7;
    Prompt& prompt = prompts.emplace_back(
        Prompt{.task = i % 4 < 2 ? "ABAB" : "NAMES", .lag = lag, .tokens = {0}, .n_bos = 1});
    for (uint32_t t = 0; t < 2 * lag; ++t)
      prompt.tokens.push_back(1 + i * 20 + static_cast<int32_t>(t % lag));
  }
  return prompts;
}

absl::StatusOr<TargetsResult> MeasureHashed(const std::vector<Prompt>& prompts, const ProfileOptions& options,
                                            const TargetsOptions& targets) {
  FakeModel model(kLayers, kHeads, HashedAttention);
  model.prompts_per_wave = 5;
  INDUCT_RETURN_IF_ERROR(CheckTargets(targets, prompts));
  return MeasureTargets(model, prompts, options, targets, {}, {});
}

// One operation as the definition has it.
struct PlainOperation {
  uint32_t prompt, query;
  std::vector<uint32_t> keys;
  double weight = 1;
};

double ValueOf(const PlainOperation& operation, const Prompt& prompt, uint32_t place) {
  double value = 0;
  for (const uint32_t key : operation.keys)
    value += HashedAttention(prompt.tokens, place / kHeads, place % kHeads, operation.query, key);
  return value;
}

void ExpectMeans(const TargetGroup& group, const std::vector<PlainOperation>& operations,
                 const std::vector<Prompt>& prompts) {
  ASSERT_EQ(group.n_operations, operations.size());
  double weight = 0;
  for (const PlainOperation& operation : operations) weight += operation.weight;
  EXPECT_NEAR(group.weight, weight, 1e-9);
  for (uint32_t place = 0; place < kScores; ++place) {
    double sum = 0;
    for (const PlainOperation& operation : operations)
      sum += operation.weight * ValueOf(operation, prompts[operation.prompt], place);
    EXPECT_NEAR(group.scores[place], sum / weight, 1e-6) << place;
  }
}

TEST(MeasureTargetsTest, AGroupIsTheWeightedMeanOverItsQueriesOfAllItsKeys) {
  const std::vector<Prompt> prompts = PromptsWithBos();
  const TargetsOptions targets{
      .groups = {"one", "ranges"},
      .targets = {{.prompt = 3, .first_query = 5, .last_query = 5, .first_key = 2, .last_key = 2},
                  {.prompt = 0, .first_query = 4, .last_query = 6, .first_key = 1, .last_key = 3, .group = 1},
                  {.prompt = 7,
                   .first_query = 9,
                   .last_query = 9,
                   .first_key = 0,
                   .last_key = 9,
                   .group = 1,
                   .weight = 2.5}}};
  const auto result = MeasureHashed(prompts, {.bootstrap_resamples = 0}, targets);
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectMeans(result->groups[0], {{3, 5, {2}}}, prompts);
  ExpectMeans(
      result->groups[1],
      {{0, 4, {1, 2, 3}}, {0, 5, {1, 2, 3}}, {0, 6, {1, 2, 3}}, {7, 9, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 2.5}},
      prompts);
  EXPECT_EQ(result->groups[1].n_prompts, 2u);
  EXPECT_THAT(result->groups[0].heads, IsEmpty());
}

TEST(MeasureTargetsTest, DetectorsFindWhatTheyAreNamedFor) {
  std::vector<Prompt> prompts = PromptsWithBos();
  prompts.push_back({.task = "TEXT", .tokens = {5, 6, 5, 5, 7, 6}});
  for (Prompt& prompt : prompts) prompt.n_bos = prompts[0].n_bos;
  using Kind = Detector::Kind;
  const int32_t sought = prompts[2].tokens[3];
  const TargetsOptions targets{.groups = {"sink", "self", "offset:2", "same_token", "token"},
                               .detectors = {{.kind = Kind::kSink},
                                             {.kind = Kind::kSelf, .group = 1},
                                             {.kind = Kind::kOffset, .offset = 2, .group = 2},
                                             {.kind = Kind::kSameToken, .group = 3},
                                             {.kind = Kind::kToken, .token = sought, .group = 4}}};
  std::vector<std::vector<PlainOperation>> expected(5);
  for (uint32_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int32_t>& tokens = prompts[i].tokens;
    for (uint32_t t = 1; t < tokens.size(); ++t) {
      expected[0].push_back({i, t, {0}});
      expected[1].push_back({i, t, {t}});
      if (t >= 3) expected[2].push_back({i, t, {t - 2}});
      PlainOperation same{i, t, {}}, token{i, t, {}};
      for (uint32_t s = 1; s < t; ++s) {
        if (tokens[s] == tokens[t]) same.keys.push_back(s);
        if (tokens[s] == sought) token.keys.push_back(s);
      }
      if (!same.keys.empty()) expected[3].push_back(same);
      if (!token.keys.empty()) expected[4].push_back(token);
    }
  }
  const auto result = MeasureHashed(prompts, {.bootstrap_resamples = 0}, targets);
  ASSERT_TRUE(result.ok()) << result.status();
  for (size_t group = 0; group < expected.size(); ++group) {
    SCOPED_TRACE(targets.groups[group]);
    ExpectMeans(result->groups[group], expected[group], prompts);
  }
}

// The profile's operations as targets: the same numbers to the last digit.
TEST(MeasureTargetsTest, WhatAProfileReadsGivesTheProfilesNumbers) {
  const std::vector<Prompt> prompts = PromptsWithBos(16);
  for (const ScoreKind score : kScoreKinds) {
    const ProfileOptions options{.score = score, .bootstrap_resamples = 60, .seed = 9};
    TargetsOptions targets{.groups = {"as a profile"}};
    for (uint32_t i = 0; i < prompts.size(); ++i) {
      for (const CopyOperation& operation :
           PlainCopyOperations(prompts[i].tokens, 1, score, options.antecedents, options.min_lag)) {
        ASSERT_THAT(operation.keys, SizeIs(1));
        targets.targets.push_back({.prompt = i,
                                   .first_query = operation.query,
                                   .last_query = operation.query,
                                   .first_key = operation.keys[0],
                                   .last_key = operation.keys[0]});
      }
    }
    FakeModel model(kLayers, kHeads, HashedAttention);
    const auto profile = MeasureProfile(model, prompts, options, {}, {}, {});
    const auto result = MeasureTargets(model, prompts, options, targets, {}, {});
    ASSERT_TRUE(profile.ok() && result.ok()) << result.status();
    const TargetGroup& group = result->groups[0];
    EXPECT_EQ(group.n_operations, profile->n_copy_ops);
    for (uint32_t i = 0; i < kScores; ++i) {
      EXPECT_EQ(group.scores[i], profile->chosen_scores()[i]);
      EXPECT_EQ(group.heads[i].low, profile->bootstrap->heads[i].low);
      EXPECT_EQ(group.heads[i].high, profile->bootstrap->heads[i].high);
    }
    EXPECT_EQ(group.per_layer, profile->per_layer);
    for (uint32_t layer = 0; layer < kLayers; ++layer)
      EXPECT_EQ(group.layers[layer].low, profile->bootstrap->per_layer[layer].low);
  }
}

// Of each prompt two queries of group 0, of which the second weighs 3, and one of group 1, where it has one.
struct Paired {
  std::vector<Prompt> prompts = PromptsWithBos();
  TargetsOptions targets{.groups = {"a", "b"}, .contrasts = {{0, 1}}, .null_resamples = 99};
  std::vector<std::vector<PlainOperation>> plain = std::vector<std::vector<PlainOperation>>(2);

  explicit Paired(uint32_t n_with_both) {
    for (uint32_t i = 0; i < prompts.size(); ++i) {
      Add(0, {i, 4, {2}, 1});
      Add(0, {i, 6, {1}, 3});
      if (i < n_with_both) Add(1, {i, 5, {3}, 0.5});
    }
  }
  void Add(uint32_t group, const PlainOperation& operation) {
    plain[group].push_back(operation);
    targets.targets.push_back({.prompt = operation.prompt,
                               .first_query = operation.query,
                               .last_query = operation.query,
                               .first_key = operation.keys[0],
                               .last_key = operation.keys[0],
                               .group = group,
                               .weight = operation.weight});
  }
  // The weighted mean over what prompts weigh.
  double Mean(uint32_t group, std::span<const double> of_prompts, uint32_t place) const {
    double sum = 0, weight = 0;
    for (const PlainOperation& operation : plain[group]) {
      const double each = operation.weight * of_prompts[operation.prompt];
      sum += each * ValueOf(operation, prompts[operation.prompt], place);
      weight += each;
    }
    return sum / weight;
  }
};

TEST(MeasureTargetsTest, AContrastResamplesBothGroupsTogether) {
  const Paired paired(9);
  const ProfileOptions options{.bootstrap_resamples = 40, .seed = 3};
  const auto result = MeasureHashed(paired.prompts, options, paired.targets);
  ASSERT_TRUE(result.ok()) << result.status();
  const Strata strata = StratifyPrompts(paired.prompts);
  std::vector<uint32_t> counts[2] = {std::vector<uint32_t>(12), std::vector<uint32_t>(12)};
  for (uint32_t group = 0; group < 2; ++group) {
    for (const PlainOperation& operation : paired.plain[group]) ++counts[group][operation.prompt];
  }
  const Resampler resampler(strata, counts[0], options.seed, counts[1]);
  const std::vector<double> ones(12, 1.0);
  std::vector<double> weights(12);
  for (const uint32_t place : {0u, 5u, 11u}) {
    std::vector<double> differences;
    for (uint32_t r = 0; r < options.bootstrap_resamples; ++r) {
      resampler.Draw(r, weights);
      differences.push_back(paired.Mean(0, weights, place) - paired.Mean(1, weights, place));
    }
    const Interval interval = IntervalOf(differences, TailShare(strata));
    const TargetContrast& contrast = result->contrasts[0];
    EXPECT_NEAR(contrast.difference[place], paired.Mean(0, ones, place) - paired.Mean(1, ones, place), 1e-6);
    EXPECT_NEAR(contrast.heads[place].low, interval.low, 1e-6);
    EXPECT_NEAR(contrast.heads[place].high, interval.high, 1e-6);
  }
}

TEST(MeasureTargetsTest, AContrastsPIsOfThePromptsOwnMeans) {
  const Paired paired(9);
  const ProfileOptions options{.bootstrap_resamples = 0, .seed = 3};
  const auto result = MeasureHashed(paired.prompts, options, paired.targets);
  ASSERT_TRUE(result.ok()) << result.status();
  TestedEffects effects{.n_prompts = 9,
                        .n_layers = kLayers,
                        .n_heads = kHeads,
                        .n_kept = 1,
                        .two_sided = true,
                        .resamples = 99,
                        .seed = 3};
  std::vector<double> means(kScores);
  for (uint32_t i = 0; i < 9; ++i) {
    std::vector<double> alone(12);
    alone[i] = 1;
    for (uint32_t place = 0; place < kScores; ++place) {
      effects.values.push_back(paired.Mean(0, alone, place) - paired.Mean(1, alone, place));
      means[place] += effects.values.back() / 9;
    }
  }
  const auto expected = BootstrapT(effects, {});
  const TargetContrast& contrast = result->contrasts[0];
  EXPECT_EQ(contrast.n_prompts, 9u);
  for (uint32_t place = 0; place < kScores; ++place)
    EXPECT_NEAR(contrast.prompt_effect[place], means[place], 1e-6);
  EXPECT_EQ(contrast.p_adjusted, expected->heads);
  EXPECT_THAT(contrast.heads, IsEmpty()) << "no bootstrap was asked for";
}

TEST(MeasureTargetsTest, FewPromptsWithBothGroupsHaveNoP) {
  const auto of_four = MeasureHashed(Paired(4).prompts, {.bootstrap_resamples = 0}, Paired(4).targets);
  ASSERT_TRUE(of_four.ok());
  EXPECT_EQ(of_four->contrasts[0].n_prompts, 4u);
  EXPECT_THAT(of_four->contrasts[0].p_adjusted, IsEmpty());
  EXPECT_THAT(of_four->contrasts[0].prompt_effect, SizeIs(kScores));
}

TEST(MeasureTargetsTest, AGroupWithoutOperationsIsToldAsEmpty) {
  Paired paired(0);
  const auto result = MeasureHashed(paired.prompts, {.bootstrap_resamples = 20}, paired.targets);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->groups[1].n_operations, 0u);
  EXPECT_THAT(result->groups[1].scores, IsEmpty());
  EXPECT_THAT(result->contrasts[0].difference, IsEmpty());
  EXPECT_THAT(result->warnings, Contains(HasSubstr("the group b has no operation")));
  TargetsOptions none{.groups = {"x"}, .detectors = {{.kind = Detector::Kind::kToken, .token = 9999}}};
  EXPECT_EQ(ReasonOf(MeasureHashed(paired.prompts, {}, none).status()), reason::kNoCopyOperations);
}

TEST(CheckTargetsTest, WhatLiesOutsideIsNamed) {
  const std::vector<Prompt> prompts = PromptsWithBos();
  const auto fault = [&](const Target& target) {
    TargetsOptions targets{.groups = {"g"}, .targets = {{}, target}};
    const absl::Status status = CheckTargets(targets, prompts);
    EXPECT_EQ(FieldOf(status), "targets[1]");
    return std::string(status.message());
  };
  EXPECT_THAT(fault({.prompt = 12}), HasSubstr("there is no prompt 12; prompts are 0 to 11"));
  EXPECT_THAT(fault({.prompt = 0, .first_query = 3, .last_query = 9}),
              HasSubstr("query 9 lies outside prompt 0, whose positions are 0 to 8"));
  TargetsOptions last{.groups = {"g"}, .targets = {{.prompt = 11, .first_query = 14, .last_query = 14}}};
  EXPECT_TRUE(CheckTargets(last, prompts).ok());
}

TEST(CheckTargetsTest, WhatWouldFillTheMemoryIsRefused) {
  std::vector<Prompt> prompts(50);
  for (Prompt& prompt : prompts) prompt.tokens.assign(1000, 7);
  TargetsOptions targets{.groups = {"same_token"}, .detectors = {{.kind = Detector::Kind::kSameToken}}};
  EXPECT_EQ(FieldOf(CheckTargets(targets, prompts)), "targets");
  prompts.resize(20);
  EXPECT_TRUE(CheckTargets(targets, prompts).ok());
}

}  // namespace
}  // namespace induct::analysis
