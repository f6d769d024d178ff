// What a run's summary on standard output says of each result.
#include "client/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "client/kinds/pattern.h"
#include "common/file_names.h"
#include "tests/client/example_runs.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string Summary(const std::string& command, const SavedModel& model) {
  return SummaryText(ExampleRun(command, {model}), "there");
}

SavedModel Ablated() {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleCausal(model));
  return model;
}

TEST(SummaryTest, CausalNamesThePrimaryTestAndWhatTheOthersSay) {
  const SavedModel model = Ablated();
  EXPECT_THAT(
      Summary("causal", model),
      HasSubstr(
          "primary test              matched_k: by copy NLL it harms copying more than each of the 6 sets "
          "drawn (p = 0.14, the smallest possible; there are too few for p <= 0.05)\n"
          "descriptive               matched_k: by copy accuracy nothing was found: 1 of the 6 sets drawn "
          "leaves "
          "copying as bad or worse (p = 0.29)\n"
          "                          random_k: by copy NLL it harms copying more than each of the 20 sets "
          "drawn (p = 0.048, the smallest possible)\n"
          "                          random_k: by copy accuracy nothing was found: 1 of the 20 sets drawn "
          "leaves copying as bad or worse (p = 0.095); the two metrics disagree\n"));
}

TEST(SummaryTest, RandomSetsArePrimaryWhereThereAreNoOthers) {
  SavedModel model = Ablated();
  Mutable<v1::Causal>(&model)->clear_matched_k();
  EXPECT_THAT(Summary("causal", model), HasSubstr("primary test              random_k: by copy NLL"));
  Mutable<v1::Causal>(&model)->mutable_random_k()->clear_p_copy_nll();
  EXPECT_THAT(Summary("causal", model), HasSubstr("primary test              none: no control has a p\n"));
}

TEST(SummaryTest, CausalComparesMeanChanges) {
  SavedModel model = Ablated();
  Mutable<v1::Causal>(&model)->mutable_check()->set_delta_rand(-0.0304);
  Mutable<v1::Causal>(&model)->set_chosen_by("user");
  EXPECT_THAT(
      Summary("causal", model),
      HasSubstr("copy accuracy changes by -0.450 without the chosen heads, by -0.030 on average without "
                "random ones\n"));
}

TEST(SummaryTest, FewPromptsAreThoseThatTheIntervalsRestOn) {
  SavedModel model = Ablated();
  Mutable<v1::Causal>(&model)->mutable_evaluation_prompts()->Resize(59, 0);
  EXPECT_THAT(Summary("causal", model), HasSubstr("few prompts"));
  Mutable<v1::Causal>(&model)->mutable_evaluation_prompts()->Resize(60, 0);
  EXPECT_THAT(Summary("causal", model), testing::Not(HasSubstr("few prompts")));
}

TEST(SummaryTest, RandomSetsOfAnotherSizeAreNotComparedAndSayTheirSize) {
  SavedModel model = Ablated();
  Mutable<v1::Causal>(&model)->mutable_top_heads()->RemoveLast();
  Mutable<v1::Causal>(&model)->mutable_random_k()->clear_p_copy_nll();
  Mutable<v1::Causal>(&model)->mutable_random_k()->clear_p_copy_accuracy();
  EXPECT_THAT(Summary("causal", model),
              AllOf(HasSubstr("20 draws of 3 heads (no p, as that is not the 2 ablated), mean delta"),
                    Not(HasSubstr("matter more"))));
}

SavedModel WithPattern() {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Remove(*v1::Profile::descriptor());
  AddExamplePattern(20, &model);
  return model;
}

TEST(SummaryTest, APatternTellsItsStrongestAttentionsBeyondTheFirstToken) {
  SavedModel model = WithPattern();
  std::vector<float> attention = AttentionOf(model)->values;
  attention[15 * 20 + 2] = 0.9f;   // what no score reads
  attention[19 * 20 + 0] = 0.99f;  // a sink
  PutValues(PatternArrayFile(model.use.name()), attention, &model);
  const std::string summary = Summary("pattern", model);
  EXPECT_THAT(
      summary,
      HasSubstr("m: attention pattern of layer 1 head 0 on prompt 7, 20 tokens\n"
                "tokens                     the Mary's\\n naïve 東京\"q\" `ls` $HOME the Mary's\\n naïve "));
  EXPECT_THAT(summary, HasSubstr("what the score reads      0.627 on average, over 10 pairs (*)\n"
                                 "to the first token        0.106 on average\n"
                                 "strongest beyond it       0.900  ' 東京' at 15 -> ''s' at 2\n"
                                 "                          0.636  ' the' at 10 -> ' Mary' at 1 *\n"
                                 "                          0.633  ' Mary' at 11 -> ''s' at 2 *\n"));
  EXPECT_THAT(summary, HasSubstr("-> '\\n' at 3 *\n"));
  EXPECT_THAT(summary, Not(HasSubstr("0.990")));
}

TEST(SummaryTest, APatternWithoutTextsOperationsOrArrayTellsWhatItHas) {
  SavedModel model = WithPattern();
  Mutable<v1::AttentionPattern>(&model)->clear_tokens();
  Mutable<v1::AttentionPattern>(&model)->clear_targets();
  EXPECT_THAT(Summary("pattern", model), AllOf(HasSubstr("tokens                    1000 1001 1002"),
                                               HasSubstr("no copy operation in this prompt\n"),
                                               HasSubstr("0.636  id 1000 at 10 -> id 1001 at 1\n")));
  RemoveArrays(&model);
  EXPECT_THAT(Summary("pattern", model), AllOf(HasSubstr("20 tokens\n"), Not(HasSubstr("strongest"))));
}

v1::PairedDifference Difference(double value, bool equivalent) {
  v1::PairedDifference difference;
  difference.set_difference(value);
  difference.set_ci_low(value - 0.01);
  difference.set_ci_high(value + 0.01);
  difference.set_equivalent(equivalent);
  return difference;
}

SavedRun Compared(int n_layers_of_large) {
  SavedRun run = ExampleRun("crosssize", {ExampleModel("small", 4, 8), ExampleModel("large", 8, 8)});
  run.models[1].use.set_n_layers(static_cast<uint32_t>(n_layers_of_large));
  run.models[0].label = "S\x1b";
  v1::ModelPair* pair = Mutable<v1::CrossSize>(&run)->add_pairs();
  pair->set_model_a("small");
  pair->set_model_b("large");
  *pair->mutable_peak_depth() = Difference(-0.3, false);
  *pair->mutable_centroid_rel() = Difference(0.05, true);
  *pair->mutable_bandwidth_interpolated() = Difference(0, true);
  pair->set_overlap(0.75);
  return run;
}

TEST(SummaryTest, TwoSizesDifferByPeakCentroidAndBandwidthWithinAMargin) {
  EXPECT_THAT(
      SummaryText(Compared(8), "there"),
      HasSubstr(
          "large - S\\x1b:\n"
          "peak depth                -0.300 (95 % interval -0.310 to -0.290): differs; not shown to be "
          "within "
          "one layer of S\\x1b (0.250)\n"
          "centroid (relative)       +0.050 (95 % interval 0.040 to 0.060): differs, by less than one layer "
          "of S\\x1b (0.250)\n"
          "bandwidth (interpolated)  +0.000 (95 % interval -0.010 to 0.010): no difference shown; "
          "equivalent, "
          "within one layer of S\\x1b (0.250)\n"
          "overlap of curves         0.750\n"));
  EXPECT_THAT(SummaryText(Compared(2), "there"), HasSubstr("within one layer of large (0.500)\n"));
  EXPECT_THAT(SummaryText(Compared(4), "there"), HasSubstr("within one layer of either (0.250)\n"));
}

TEST(SummaryTest, AComparisonWithoutBootstrapHasDifferencesAlone) {
  SavedRun run = Compared(8);
  v1::ModelPair* pair = Mutable<v1::CrossSize>(&run)->mutable_pairs(0);
  for (v1::PairedDifference* difference : {pair->mutable_peak_depth(), pair->mutable_centroid_rel()}) {
    const double value = difference->difference();
    difference->Clear();
    difference->set_difference(value);
  }
  EXPECT_THAT(SummaryText(run, "there"), AllOf(HasSubstr("peak depth                -0.300\n"),
                                               HasSubstr("centroid (relative)       +0.050\n")));
}

TEST(SummaryTest, TheHeadNamedIsTheStrongestSignificantOneAndElseTheStrongest) {
  SavedModel model = ExampleModel("m", 1, 3);
  model.results.Put(ExampleNulls(model));
  v1::AntecedentNull* null = Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent()->mutable_uniform();
  const std::array<double, 3> effects = {0.1, 0.2, 0.3}, p = {0.01, 0.02, 0.06};
  null->mutable_effect()->mutable_values()->Assign(effects.begin(), effects.end());
  null->mutable_p_adjusted()->mutable_values()->Assign(p.begin(), p.end());
  EXPECT_THAT(Summary("nulls", model),
              HasSubstr("2 of 3 heads shown above it (p <= 0.05, adjusted); most: layer 0 "
                        "head 1 by 0.200, p = 0.02"));
  for (double& each : *null->mutable_p_adjusted()->mutable_values()) each += 0.05;
  EXPECT_THAT(Summary("nulls", model),
              HasSubstr("0 of 3 heads shown above it (p <= 0.05, adjusted); most: layer 0 "
                        "head 2 by 0.300, p = 0.11"));
}

TEST(SummaryTest, NullsTellWhatTheyDropped) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleNulls(model));
  v1::ShuffledAntecedent* shuffled = Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent();
  shuffled->mutable_uniform()->set_n_dropped(1);
  shuffled->mutable_lag_matched()->set_n_prompts(390);
  EXPECT_THAT(Summary("nulls", model),
              AllOf(HasSubstr("; 1 operation without a candidate dropped, 400 prompts left\n"),
                    HasSubstr("; 345 operations without a candidate dropped, 390 prompts left\n")));
  shuffled->mutable_uniform()->set_n_dropped(0);
  shuffled->mutable_lag_matched()->set_n_dropped(0);
  shuffled->mutable_same_distance()->set_n_dropped(0);
  EXPECT_THAT(Summary("nulls", model), Not(HasSubstr("dropped")));
}

TEST(SummaryTest, TheNullOfAFixedDistanceHasAnIntervalInsteadOfAP) {
  SavedModel model = ExampleModel("m", 1, 2);
  model.results.Put(ExampleNulls(model));
  v1::AntecedentNull* null =
      Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent()->mutable_same_distance();
  null->set_n_dropped(0);
  null->mutable_effect()->set_values(0, 0.1);
  null->mutable_effect()->set_values(1, 0.25);
  for (v1::HeadMatrix* end : {null->mutable_effect_ci_low(), null->mutable_effect_ci_high()}) {
    *end = null->effect();
    end->set_values(1, end == null->mutable_effect_ci_low() ? 0.125 : 0.375);
  }
  EXPECT_THAT(
      Summary("nulls", model),
      HasSubstr("shuffled: same_distance   most: layer 0 head 1 by 0.250 (95 % interval 0.125 to 0.375); "
                "the highest of 2, its interval not adjusted for that"));
  *null = {};
  null->set_reason("one lag");
  EXPECT_THAT(Summary("nulls", model), HasSubstr("shuffled: same_distance   not computed: one lag\n"));
  Mutable<v1::Nulls>(&model)
      ->mutable_shuffled_antecedent()
      ->clear_same_distance();  // of a run of an older server
  EXPECT_THAT(Summary("nulls", model), Not(HasSubstr("same_distance")));
}

TEST(SummaryTest, NullsThatAreAbsentAreExplained) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleNulls(model));
  Mutable<v1::Nulls>(&model)->clear_shuffled_antecedent();
  EXPECT_THAT(Summary("nulls", model), Not(HasSubstr("none asked for")));
  Mutable<v1::Nulls>(&model)->clear_head_permutation();
  EXPECT_THAT(Summary("nulls", model),
              HasSubstr("none asked for: shuffle_null and head_permutation_null are false\n"));
  Mutable<v1::Nulls>(&model)->set_score("previous");
  EXPECT_THAT(Summary("nulls", model),
              AllOf(HasSubstr("previous has no antecedent to shuffle\n"), Not(HasSubstr("none asked for"))));
}

}  // namespace
}  // namespace induct::client
