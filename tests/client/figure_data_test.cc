// What each kind of figure shows: its data, and the captions that come from the numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_join.h"
#include "client/figures/captions.h"
#include "client/figures/causal_delta.h"
#include "client/figures/cross_size_overlay.h"
#include "client/figures/font.h"
#include "client/figures/head_grid.h"
#include "client/figures/heatmap.h"
#include "client/figures/lag_overlay.h"
#include "client/figures/nulls_density.h"
#include "client/figures/nulls_heatmap.h"
#include "client/figures/pattern_map.h"
#include "client/figures/peak_depths.h"
#include "client/figures/profile_curve.h"
#include "client/figures/script.h"
#include "client/figures/spread.h"
#include "common/file_names.h"
#include "tests/client/example_runs.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string Title(const Figure& figure) { return absl::StrJoin(figure.title, "\n"); }

TEST(HeatmapTest, HasARowForEachHeadAndColoursUpToTheHighestScore) {
  SavedModel model = ExampleModel("m", 2, 3);
  PutValues(ScoresFile(model.use.name()), {0, 0.25f, 0.5f, 0.125f, 0.75f, 1e-9f}, &model);
  const Figure figure = HeatmapFigure(model);
  EXPECT_THAT(Lines(figure.csv), ElementsAre("layer,head,score", "0,0,0", "0,1,0.25", "0,2,0.5", "1,0,0.125",
                                             "1,1,0.75", "1,2,9.99999972e-10"));
  EXPECT_THAT(figure.settings, HasSubstr("set cbrange [0:0.75]"));
  EXPECT_THAT(Title(figure), HasSubstr("400 prompts, 12,345 copy operations, antecedents first, lag >= 3"));
}

TEST(HeatmapTest, ScoresOfZeroHaveARangeOfColours) {
  SavedModel model = ExampleModel("m", 1, 1);
  PutValues(ScoresFile(model.use.name()), {0}, &model);
  EXPECT_THAT(HeatmapFigure(model).settings, HasSubstr("set cbrange [0:1]"));
}

TEST(ProfileCurveTest, SaysWhatItAveragesAndHowSureItsPeakIs) {
  SavedModel model = ExampleModel("m", 4, 4);
  EXPECT_THAT(ProfileCurveFigure(model).settings, HasSubstr("'induction score of the top head of 4'"));
  EXPECT_THAT(ProfileCurveFigure(model).plot, HasSubstr("'peak: layer 2, depth 0.625 [0.480, 0.560]'"));
  Mutable<v1::Profile>(&model)->set_n_heads_kept(4);
  Mutable<v1::Profile>(&model)->set_aggregation("mean");
  Mutable<v1::Profile>(&model)->mutable_bootstrap()->mutable_peak_depth()->set_ci_low(0.56);
  EXPECT_THAT(ProfileCurveFigure(model).settings, HasSubstr("'mean induction score of all 4 heads'"));
  EXPECT_THAT(ProfileCurveFigure(model).plot, HasSubstr("'peak: layer 2, depth 0.625'"));
}

TEST(ProfileCurveTest, ACurveOfZeroesHasNoPeakAndNoCentroid) {
  SavedModel model = ExampleModel("m", 4, 4, /*bootstrap=*/false);
  for (double& value : *Mutable<v1::Profile>(&model)->mutable_per_layer()) value = 0;
  Mutable<v1::Profile>(&model)->clear_peak_layer();
  Mutable<v1::Profile>(&model)->clear_centroid_rel();
  EXPECT_THAT(ProfileCurveFigure(model).plot, AllOf(Not(HasSubstr("peak")), Not(HasSubstr("centroid"))));
}

TEST(ProfileCurveTest, TheDataHaveTheBandOrRepeatTheCurve) {
  EXPECT_THAT(Lines(ProfileCurveFigure(ExampleModel("m", 1, 1)).csv),
              ElementsAre("layer,depth,score,ci_low,ci_high", "0,0.5,0.85,0.7905,0.901"));
  const Figure without = ProfileCurveFigure(ExampleModel("m", 1, 1, /*bootstrap=*/false));
  EXPECT_THAT(Lines(without.csv), ElementsAre("layer,depth,score,ci_low,ci_high", "0,0.5,0.85,0.85,0.85"));
  EXPECT_THAT(without.plot, Not(HasSubstr("95 %")));
}

TEST(CrossSizeOverlayTest, ModelsLieOnRelativeDepthWithTheirLabelsInTheKey) {
  SavedModel small = ExampleModel("small", 2, 4);
  small.label = "my small one";
  const auto figure =
      CrossSizeOverlayFigure(ExampleRun("crosssize", {small, ExampleModel("large", 4, 4, false)}));
  ASSERT_TRUE(figure.has_value());
  const auto lines = Lines(figure->csv);
  EXPECT_EQ(lines.size(), 1u + 2 + 4);
  EXPECT_THAT(lines[1], testing::StartsWith("small,0,0.25,"));
  EXPECT_THAT(lines[3], AllOf(testing::StartsWith("large,0,0.125,"), testing::EndsWith(",,")));
  EXPECT_THAT(figure->plot, AllOf(HasSubstr("'my small one: peak 0.750 [0.480, 0.560]'"),
                                  HasSubstr("'large: peak 0.625'")));
  EXPECT_FALSE(CrossSizeOverlayFigure(ExampleRun("crosssize", {small})).has_value());
}

TEST(CrossSizeOverlayTest, AModelOfZeroesIsNamedAsSuch) {
  SavedModel flat = ExampleModel("flat", 2, 4, false);
  Mutable<v1::Profile>(&flat)->clear_peak_layer();
  Mutable<v1::Profile>(&flat)->clear_peak_depth();
  const auto figure = CrossSizeOverlayFigure(ExampleRun("crosssize", {flat, ExampleModel("large", 4, 4)}));
  EXPECT_THAT(figure->plot, HasSubstr("'flat: 0 everywhere'"));
}

TEST(PeakDepthsTest, EveryModelHasItsSizePeakAndCentroid) {
  SavedModel unknown = ExampleModel("unknown", 4, 4);
  unknown.use.clear_n_parameters();
  SavedModel small = ExampleModel("s", 2, 1);
  small.use.set_n_parameters(7e7);
  Mutable<v1::Profile>(&small)->clear_bootstrap();
  const auto figure = PeakDepthsFigure(
      ExampleRun("multisize", {ExampleModel("l", 12, 16), ExampleModel("m", 6, 12), small, unknown}));
  ASSERT_TRUE(figure.has_value());
  const auto lines = Lines(figure->csv);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[1], AllOf(testing::StartsWith("s,70000000,"), testing::EndsWith(",0.75,,,0.52,,")));
  EXPECT_THAT(lines[3], testing::StartsWith("l,3072000000,"));
  EXPECT_THAT(Title(*figure), HasSubstr("without a peak or a known size: unknown"));
  EXPECT_THAT(figure->settings, HasSubstr("'100 M' 100000000"));
}

TEST(PeakDepthsTest, TwoModelsAreEnoughWhereManySizesWereAskedFor) {
  const std::vector<SavedModel> two = {ExampleModel("s", 2, 2), ExampleModel("l", 4, 4)};
  EXPECT_TRUE(PeakDepthsFigure(ExampleRun("multisize", two)).has_value());
  EXPECT_FALSE(PeakDepthsFigure(ExampleRun("crosssize", two)).has_value());
}

TEST(SpreadTest, LabelsKeepTheirOrderAndTheirDistance) {
  EXPECT_THAT(Spread({0, 10}, 1), ElementsAre(0, 10));
  EXPECT_THAT(Spread({5, 5, 5}, 2), ElementsAre(3, 5, 7));
}

TEST(NullsDensityTest, MarksTheLayersAboveChance) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleNulls(model));
  const Figure figure = NullsDensityFigure(model);
  EXPECT_THAT(Lines(figure.csv), testing::Contains("2,0.51,0.1,0,0.25,0.002"));
  EXPECT_THAT(figure.plot,
              AllOf(HasSubstr("p <= 0.05, adjusted over layers"), HasSubstr("0.375 with lines")));
  EXPECT_THAT(Title(figure),
              AllOf(HasSubstr("0.9 quantile"), HasSubstr("0.080, when permuted 0.270, p = 0.0001")));
  for (double& p : *Mutable<v1::Nulls>(&model)->mutable_head_permutation()->mutable_p_adjusted()) p = 1;
  Mutable<v1::Nulls>(&model)->mutable_head_permutation()->clear_depth_spread();
  EXPECT_THAT(NullsDensityFigure(model).plot, Not(HasSubstr("adjusted")));
  EXPECT_THAT(Title(NullsDensityFigure(model)), HasSubstr("fewer than 2 high heads"));
}

TEST(NullsHeatmapTest, ShowsTheLagMatchedEffectWithRingsAndElseTheUniformOne) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleNulls(model));
  auto figure = NullsHeatmapFigure(model);
  EXPECT_THAT(Lines(figure->csv)[0], "layer,head,effect,observed,null_mean,p_adjusted");
  EXPECT_THAT(Lines(figure->csv)[1], HasSubstr(",0.06,0.7"));
  EXPECT_THAT(Title(*figure), AllOf(HasSubstr("lag-matched"), HasSubstr("of 16)")));
  EXPECT_THAT(figure->plot, HasSubstr("points pt 6"));
  v1::ShuffledAntecedent* shuffled = Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent();
  shuffled->clear_lag_matched();
  shuffled->mutable_uniform()->clear_p_adjusted();
  figure = NullsHeatmapFigure(model);
  EXPECT_THAT(Title(*figure), AllOf(HasSubstr("uniformly"), HasSubstr("too few prompts for a test")));
  EXPECT_THAT(figure->plot, Not(HasSubstr("points pt 6")));
  shuffled->clear_uniform();
  EXPECT_FALSE(NullsHeatmapFigure(model).has_value());
}

TEST(HeadGridTest, RingsAndScaleAreThoseOfAnyMatrix) {
  v1::HeadMatrix p;
  EXPECT_EQ(SignificanceText(p), "too few prompts for a test");
  for (const double value : {0.05, 0.051, 0.01}) p.add_values(value);
  EXPECT_EQ(SignificanceText(p), "rings: p <= 0.05, adjusted over all heads (2 of 3)");
  EXPECT_THAT(SignificanceRings("any", {.n_layers = 3, .n_heads = 1}, 4),
              HasSubstr("'any.csv' skip 1 using ($4 <= 0.05 ? $2 : NaN):1 with points pt 6"));
  v1::HeadMatrix values;
  EXPECT_EQ(FurthestFromZero(values.values()), 1);
  for (const double value : {0.25, -0.5, 0.0}) values.add_values(value);
  EXPECT_EQ(FurthestFromZero(values.values()), 0.5);
}

TEST(CausalDeltaTest, HasAPanelForEachMetricWithEveryDraw) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleCausal(model));
  const auto figure = CausalDeltaFigure(model);
  ASSERT_TRUE(figure.has_value());
  EXPECT_THAT(figure->plot,
              AllOf(HasSubstr("layout 1,3"), HasSubstr("'p = 0.095'"), HasSubstr("'p = 0.14 *'")));
  EXPECT_THAT(Lines(figure->csv), testing::Contains("copy_accuracy,top_k,,1,-0.45,-0.49,-0.41"));
  size_t draws = 0;
  for (const std::string& line : Lines(figure->csv)) draws += line.starts_with("copy_nll,random_k,") ? 1 : 0;
  EXPECT_EQ(draws, 20u + 1);
}

TEST(CausalDeltaTest, AControlOfAnotherSizeSaysItsOwn) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleCausal(model));
  EXPECT_THAT(CausalDeltaFigure(model)->plot, Not(HasSubstr("3 heads")));
  Mutable<v1::Causal>(&model)->mutable_top_heads()->RemoveLast();
  for (v1::AblationArm& draw : *Mutable<v1::Causal>(&model)->mutable_matched_k()->mutable_draws())
    draw.mutable_heads()->RemoveLast();
  EXPECT_THAT(CausalDeltaFigure(model)->plot, AllOf(HasSubstr("'random'.\"\\n\".'3 heads' 2"),
                                                    HasSubstr("'matched'.\"\\n\".'p = 0.14 *' 3")));
}

TEST(CausalDeltaTest, AControlWithoutDrawsSaysWhyAndControlTextsGetAPanel) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleCausal(model));
  Mutable<v1::Causal>(&model)->mutable_matched_k()->Clear();
  Mutable<v1::Causal>(&model)->mutable_matched_k()->set_reason("every other set shares a head");
  Mutable<v1::Causal>(&model)->mutable_top_k()->mutable_delta()->mutable_control_nll()->set_value(0.5);
  const auto figure = CausalDeltaFigure(model);
  EXPECT_THAT(figure->plot, AllOf(HasSubstr("layout 1,4"), HasSubstr("no draws")));
  EXPECT_THAT(Title(*figure), HasSubstr("matched: every other set shares a head"));
  Mutable<v1::Causal>(&model)->set_chosen_by("user");
  EXPECT_THAT(Title(*CausalDeltaFigure(model)), HasSubstr("ablation of the chosen 3 heads; 20 draws"));
  Mutable<v1::Causal>(&model)->mutable_top_k()->clear_delta();
  EXPECT_FALSE(CausalDeltaFigure(model).has_value());
}

TEST(LagOverlayTest, AnEmptyBucketIsNamedAndHasNoCurve) {
  SavedModel model = ExampleModel("m", 4, 4);
  model.results.Put(ExampleLagBuckets(model));
  const Figure figure = LagOverlayFigure(model);
  EXPECT_EQ(Lines(figure.csv).size(), 1u + 2 * 4);
  EXPECT_THAT(figure.csv, AllOf(HasSubstr("3-8,0,"), HasSubstr("33-,3,"), Not(HasSubstr("9-32"))));
  EXPECT_THAT(figure.plot, AllOf(HasSubstr("'lag 9 to 32: no operations'"),
                                 HasSubstr("'lag >= 33, 7,345 operations: centroid 0.550 [0.480, 0.560]'")));
  EXPECT_THAT(Title(figure), HasSubstr("centroid, last - first bucket: +0.060 [0.040, 0.080]"));
}

TEST(PatternTest, ShowsWhatAHeadCanAttendToAndFramesWhatTheScoreReads) {
  SavedModel model = ExampleModel("m", 4, 4);
  AddExamplePattern(4, &model);
  const Figure figure = PatternFigure(model);
  EXPECT_THAT(Lines(figure.csv),
              ElementsAre("query,key,probability", "0,0,0.400000006", "1,0,0.200000003", "1,1,0.200000003",
                          "2,0,0.13333334", "2,1,0.733333349", "2,2,0.13333334", "3,0,0.100000001",
                          "3,1,0.100000001", "3,2,0.699999988", "3,3,0.100000001", "2,1,", "3,2,"));
  EXPECT_THAT(Title(figure), AllOf(HasSubstr("m: head 1.0"), HasSubstr("prompt 7, 4 tokens"),
                                   HasSubstr("framed: what the score reads (2)")));
  Mutable<v1::AttentionPattern>(&model)->clear_targets();
  Mutable<v1::AttentionPattern>(&model)->clear_tokens();
  EXPECT_THAT(Title(PatternFigure(model)), HasSubstr("the score reads nothing in this prompt"));
  EXPECT_THAT(PatternFigure(model).plot, HasSubstr("'1001' 1"));
}

TEST(PatternTest, ATokenWithoutTextIsShownByItsId) {
  SavedModel model = ExampleModel("m", 4, 4);
  AddExamplePattern(16, &model);
  EXPECT_THAT(PatternFigure(model).plot, HasSubstr("'1006' 6"));
}

TEST(ScriptTest, AScriptNamesItsDataItsPicturesAndHowToRunIt) {
  const Figure figure = HeatmapFigure(ExampleModel("m", 4, 4));
  const std::string script = FigureScript(figure, {.format = "pdf,png"});
  EXPECT_THAT(script,
              AllOf(HasSubstr("gnuplot heatmap_m.gp"), HasSubstr("writes heatmap_m.png, heatmap_m.pdf"),
                    HasSubstr("set output 'heatmap_m.pdf'"), Not(HasSubstr("svg noenhanced"))));
}

TEST(ScriptTest, StringsHoldWhateverANameHolds) {
  EXPECT_EQ(GnuplotString("it's `rm` \"x\" $(y)\nz\\n"), "'it\xe2\x80\x99s `rm` \"x\" $(y) z\\n'");
}

TEST(ScriptTest, LinesOfATitleAreAboutAsLongAndAddToTheHeight) {
  SavedModel model = ExampleModel("m", 4, 4);
  for (int i = 0; i < 20; ++i) model.label += " word" + std::to_string(i);
  const Figure figure = HeatmapFigure(model);
  const std::string script = FigureScript(figure, {.format = "png"});
  EXPECT_THAT(script, HasSubstr("heading = 'm word0 word1 word2 word3 word4 word5 word6'.\"\\n\".'word7"));
  EXPECT_THAT(script, HasSubstr(",1194 font"));
  EXPECT_EQ(figure.height, 1080);
}

TEST(CaptionsTest, ThePreviousKindIsMeasuredOnPositionsWithoutAnAntecedent) {
  SavedModel model = ExampleModel("m", 4, 4);
  Mutable<v1::Profile>(&model)->set_score("previous");
  Mutable<v1::Profile>(&model)->set_n_prompts(40);
  Mutable<v1::Profile>(&model)->set_n_copy_ops(560);
  EXPECT_EQ(MeasuredOn(*model.Get<v1::Profile>()), "40 prompts, 560 positions without an antecedent");
  const auto figure = CrossSizeOverlayFigure(ExampleRun("crosssize", {model, model}));
  EXPECT_THAT(Title(*figure), Not(HasSubstr("lag >=")));
}

TEST(CaptionsTest, TicksStandOneTwoOrFiveApart) {
  EXPECT_DOUBLE_EQ(TickDistance(0.85, 20), 0.05);
  EXPECT_DOUBLE_EQ(TickDistance(0.85, 1), 0.5);
  EXPECT_DOUBLE_EQ(TickDistance(1000, 12), 100);
}

TEST(FontTest, CharactersThatNoFontHasAreEscaped) {
  EXPECT_EQ(WithDrawableCharacters("plain 'text'\n"), "plain 'text'\n");
  if (access("/usr/bin/fc-list", X_OK) != 0) GTEST_SKIP() << "fontconfig is not installed";
  EXPECT_EQ(WithDrawableCharacters("a\xf4\x8f\xbf\xbd"
                                   "b\xc3\xa9"),
            "a\\u{10fffd}b\xc3\xa9");
}

}  // namespace
}  // namespace induct::client
