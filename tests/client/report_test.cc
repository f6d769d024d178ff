// What reports say, in Markdown; the HTML page is tested on its own.
#include "client/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/figures/run_figures.h"
#include "client/report/charts.h"
#include "client/report/document.h"
#include "client/report/markdown.h"
#include "common/atomic_file.h"
#include "tests/client/example_runs.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string Report(const std::vector<SavedRun>& runs, const std::vector<std::string>& problems = {}) {
  return MarkdownPage(MakeDocument(runs, problems, ""));
}

SavedModel ExampleWith(const std::string& command) {
  SavedModel model = ExampleModel("tiny", 4, 6);
  if (command == "nulls") model.results.Put(ExampleNulls(model));
  if (command == "causal") model.results.Put(ExampleCausal(model));
  if (command == "lagbuckets") model.results.Put(ExampleLagBuckets(model));
  if (command == "pattern") AddExamplePattern(8, &model);
  if (command != "profile" && command != "nulls") {
    model.results.Remove(*v1::Profile::descriptor());
    RemoveArrays(&model);
  }
  return model;
}

std::string ReportOf(const std::string& command) {
  return Report({ExampleRun(command, {ExampleWith(command)})});
}

TEST(ReportTest, EveryKindOfRunHasItsQuestionMethodResultsLimitsAndNextSteps) {
  for (const char* command : {"profile", "nulls", "causal", "lagbuckets", "pattern"}) {
    const std::string report = ReportOf(command);
    for (const char* part : {"# Induction heads of tiny", "## Question", "## Models", "## Method",
                             "## Results", "## Limits", "## Next steps"})
      EXPECT_THAT(report, HasSubstr(part)) << command;
    EXPECT_THAT(report, Not(HasSubstr("no result"))) << command;
  }
}

TEST(ReportTest, ResultsAreSentencesWithTheirIntervals) {
  const SavedModel model = ExampleWith("profile");
  EXPECT_THAT(
      Report({ExampleRun("profile", {model})}),
      AllOf(
          HasSubstr(absl::StrCat("peaks in layer ", model.Get<v1::Profile>()->peak_layer(), " (of 0 to 3)")),
          testing::ContainsRegex("centroid lies at relative depth 0\\.[0-9]+ .\\[0\\.[0-9]+, 0\\.[0-9]+")));
  EXPECT_THAT(ReportOf("nulls"),
              AllOf(HasSubstr("score higher than with lag-matched shuffled antecedents"),
                    HasSubstr("Against attention to the same distance in queries of other lags"),
                    HasSubstr("345 operations of 12,345 had no uniform candidate")));
  EXPECT_THAT(
      ReportOf("causal"),
      AllOf(HasSubstr("The primary test: by copy NLL it harms copying more than each of the 6 sets of as "
                      "many heads of the same layers drawn (p = 0.14, the smallest possible; there are "
                      "too few for p \\<= 0.05). Descriptive, not adjusted: by copy accuracy "),
            HasSubstr("Descriptive, not adjusted: by copy NLL it harms copying more than each of the 20 "
                      "sets of random heads drawn (p = 0.048, the smallest possible); by copy accuracy "
                      "nothing was found: 1 of the 20 sets of random heads drawn leaves copying as bad "
                      "or worse (p = 0.095). The two metrics disagree."),
            HasSubstr("6 sets of as many heads of the same layers allow no p below 0.14")));
  EXPECT_THAT(ReportOf("lagbuckets"),
              AllOf(testing::ContainsRegex("[Ll]onger lags"), testing::ContainsRegex("curves peak at"),
                    HasSubstr("| lag 9 to 32 | 0 | - |")));
}

TEST(ReportTest, NothingFoundIsSaidInPlainWords) {
  SavedModel model = ExampleWith("causal");
  Mutable<v1::Causal>(&model)->mutable_random_k()->set_p_copy_nll(0.4);
  EXPECT_THAT(
      Report({ExampleRun("causal", {model})}),
      HasSubstr("by copy NLL nothing was found: 7 of the 20 sets of random heads drawn leave copying as "
                "bad or worse (p = 0.4"));
  model = ExampleWith("nulls");
  for (double& p : *Mutable<v1::Nulls>(&model)
                        ->mutable_shuffled_antecedent()
                        ->mutable_lag_matched()
                        ->mutable_p_adjusted()
                        ->mutable_values())
    p = 0.3;
  EXPECT_THAT(Report({ExampleRun("nulls", {model})}), HasSubstr("Nothing was found against lag-matched"));
}

TEST(ReportTest, AModelThatDoesNotCopyHasNothingToLose) {
  SavedModel model = ExampleWith("causal");
  EXPECT_THAT(Report({ExampleRun("causal", {model})}), Not(HasSubstr("hardly any copying to lose")));
  Mutable<v1::Causal>(&model)->mutable_baseline()->mutable_metrics()->set_copy_accuracy(0.002);
  EXPECT_THAT(Report({ExampleRun("causal", {model})}),
              HasSubstr("copies at 0.002 of the predictable positions only"));
}

TEST(ReportTest, AProfileOfZerosHasNoPeakAndSaysSo) {
  SavedModel model = ExampleWith("profile");
  for (double& value : *Mutable<v1::Profile>(&model)->mutable_per_layer()) value = 0;
  Mutable<v1::Profile>(&model)->clear_peak_layer();
  Mutable<v1::Profile>(&model)->clear_peak_depth();
  Mutable<v1::Profile>(&model)->clear_centroid_rel();
  EXPECT_THAT(Report({ExampleRun("profile", {model})}), HasSubstr("Nothing was found: no head of tiny"));
}

TEST(ChartsTest, AnyMatrixAndAnyDifferenceOfTwoHaveCharts) {
  const SavedModel model = ExampleWith("nulls");
  const v1::AntecedentNull& null = model.Get<v1::Nulls>()->shuffled_antecedent().uniform();
  const v1::HeadMatrix none;
  const Chart scores = ScoresChart({"tiny", "mine", null.observed(), {}}, "What it shows.", "mine.png");
  EXPECT_EQ(scores.kind + " " + scores.caption + " " + scores.image, "heads What it shows. mine.png");
  EXPECT_EQ(scores.data["score"], "mine");
  EXPECT_EQ(scores.data["scores"].size(), 24u);
  EXPECT_FALSE(scores.data.contains("ci_low"));
  const Chart difference = DifferencesChart({.title = "a - b",
                                             .observed_label = "a",
                                             .other_label = "b",
                                             .difference = null.effect(),
                                             .observed = null.observed(),
                                             .other = null.null_mean(),
                                             .ci_low = none,
                                             .ci_high = none,
                                             .p = null.p_adjusted()},
                                            "", "");
  EXPECT_EQ(difference.data["title"], "a - b");
  EXPECT_EQ(difference.data["observed_label"], "a");
  EXPECT_EQ(difference.data["null_label"], "b");
  EXPECT_EQ(difference.data["p"].size(), 24u);
  EXPECT_FALSE(difference.data.contains("ci_low"));
  const Chart curves = CurvesChart({{"a", model.Get<v1::Profile>()->per_layer(), {}}}, "score", "Curves.");
  EXPECT_EQ(curves.data["curves"][0]["label"], "a");
  EXPECT_EQ(curves.data["curves"][0]["values"].size(), 4u);
  EXPECT_EQ(curves.image, "");
}

TEST(ReportTest, ChartsShowTheFiguresOfTheirRun) {
  for (const char* command : {"profile", "nulls", "causal", "lagbuckets", "pattern"}) {
    const TemporaryFolder folder;
    SavedRun run = ExampleRun(command, {ExampleWith(command)});
    run.path = folder.path();
    std::filesystem::create_directories(folder / "figs");
    const std::vector<Figure> figures = RunFigures(run);
    for (const Figure& figure : figures)
      ASSERT_TRUE(WriteFileAtomically(folder / "figs/" + figure.name + ".png", "").ok());
    const std::string report = MarkdownPage(MakeDocument({run}, {}, folder.path()));
    for (const Figure& figure : figures)
      EXPECT_THAT(report, HasSubstr("(figs/" + figure.name + ".png)")) << command;
  }
}

TEST(ReportTest, OnePromptHasNoIntervalsAndTheLimitsSayWhy) {
  SavedModel model = ExampleModel("tiny", 4, 6, /*bootstrap=*/false);
  Mutable<v1::Profile>(&model)->set_n_prompts(1);
  SavedRun run = ExampleRun("profile", {model});
  run.metadata.set_n_prompts(1);
  EXPECT_THAT(Report({run}),
              AllOf(HasSubstr("there is one prompt only, so no number has an interval"),
                    Not(HasSubstr("Few prompts")), Not(HasSubstr("centroid lies at relative depth 0.5 ["))));
}

TEST(ReportTest, WhatANullLacksIsToldWithItsReason) {
  SavedModel model = ExampleWith("nulls");
  v1::AntecedentNull* matched =
      Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent()->mutable_lag_matched();
  matched->Clear();
  matched->set_reason("all operations have lag 8");
  EXPECT_THAT(Report({ExampleRun("nulls", {model})}),
              HasSubstr("The lag-matched shuffled antecedents have no values: all operations have lag 8."));
}

TEST(ReportTest, TheStrongestOfTheHeadsFoundIsOneOfThem) {
  SavedModel model = ExampleWith("nulls");
  v1::AntecedentNull* null = Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent()->mutable_lag_matched();
  for (double& p : *null->mutable_p_adjusted()->mutable_values()) p = 0.7;
  null->mutable_p_adjusted()->set_values(2, 0.01);
  EXPECT_THAT(Report({ExampleRun("nulls", {model})}),
              testing::ContainsRegex(
                  "1 of 24 heads of tiny was shown to score higher .*The strongest is layer 0 head 2: "));
}

TEST(ReportTest, APeakInsideTheNullBandIsALimit) {
  SavedModel model = ExampleWith("nulls");
  v1::HeadPermutation* heads = Mutable<v1::Nulls>(&model)->mutable_head_permutation();
  const int peak = static_cast<int>(model.Get<v1::Profile>()->peak_layer());
  heads->set_band_high(peak, 1.0);
  EXPECT_THAT(
      Report({ExampleRun("nulls", {model})}),
      HasSubstr("does not lie above the pointwise 95 % of permuted scores: that high heads gather there is "
                "not shown"));
}

TEST(ReportTest, ProblemsOfRunsAndFoldersAreNamedAndTheRestIsReported) {
  SavedRun broken = ExampleRun("nulls", {ExampleModel("tiny", 4, 6)});
  broken.metadata.set_state("failed");
  broken.path = "runs/a";
  broken.problems = {"nulls_tiny.json is missing"};
  const std::string report = Report({broken}, {"nowhere is no run directory"});
  EXPECT_THAT(report, AllOf(HasSubstr("What is missing or damaged"),
                            HasSubstr("runs/a: nulls\\_tiny.json is missing"),
                            HasSubstr("nowhere is no run directory"), HasSubstr("peaks in layer")));
}

TEST(ReportTest, AProfileThatTwoRunsHoldIsToldOnce) {
  const SavedModel model = ExampleWith("profile");
  const std::string report =
      Report({ExampleRun("profile", {model}), ExampleRun("nulls", {ExampleWith("nulls")})});
  EXPECT_EQ(report.find("### Profile of tiny"), report.rfind("### Profile of tiny"));
  EXPECT_THAT(report, HasSubstr("### Nulls of tiny"));
}

TEST(ReportTest, HeadsTellTheirNullWhereAnyRunHasIt) {
  const SavedModel with_nulls = ExampleWith("nulls");
  SavedModel model = ExampleWith("profile");
  v1::HeadBand* band = Mutable<v1::Profile>(&model)->mutable_bootstrap()->mutable_heads();
  *band->mutable_ci_low() = *band->mutable_ci_high() =
      with_nulls.Get<v1::Nulls>()->shuffled_antecedent().uniform().observed();
  const Document document =
      MakeDocument({ExampleRun("profile", {model}), ExampleRun("nulls", {with_nulls})}, {}, "");
  const Chart* heads = nullptr;
  for (const Section& section : document.sections) {
    for (const Block& block : section.blocks) {
      const auto* chart = std::get_if<Chart>(&block);
      if (chart != nullptr && chart->kind == "heads") heads = chart;
    }
  }
  ASSERT_NE(heads, nullptr);
  EXPECT_EQ(heads->data.at("null"), "lag-matched");
  EXPECT_EQ(heads->data.at("effect").size(), 24u);
  EXPECT_EQ(heads->data.at("p").size(), 24u);
  EXPECT_EQ(heads->data.at("ci_low").size(), 24u);
}

TEST(ReportTest, NullsOfOtherPromptsTellAHeadNothing) {
  SavedRun other = ExampleRun("nulls", {ExampleWith("nulls")});
  other.config = "seed: 1\n";
  other.models[0].results.Remove(*v1::Profile::descriptor());
  const SavedRun run = ExampleRun("profile", {ExampleWith("profile")});
  for (const Section& section : MakeDocument({run, other}, {}, "").sections) {
    for (const Block& block : section.blocks) {
      const auto* chart = std::get_if<Chart>(&block);
      EXPECT_FALSE(chart != nullptr && chart->kind == "heads" && chart->data.contains("effect"));
    }
  }
}

TEST(ReportTest, MetadataTellsWhetherPromptsWereGivenAndNoComment) {
  SavedRun run = ExampleRun("profile", {ExampleWith("profile")});
  run.config = "# induct-client profile --prompts RUN/p.jsonl\nprompts:\n  task_types: [ABAB]\n";
  EXPECT_THAT(Report({run}), AllOf(HasSubstr("ABAB of lag"), Not(HasSubstr("given by the user"))));
  run.config = "";
  run.metadata.set_n_given_prompts(2);
  EXPECT_THAT(Report({run}), HasSubstr("given by the user"));
}

TEST(ReportTest, ComparisonsNameModelsByTheirLabelsAndTheirLimits) {
  SavedRun run = ExampleRun("crosssize", {ExampleModel("one", 4, 6), ExampleModel("two", 6, 6)});
  v1::ModelPair* pair = Mutable<v1::CrossSize>(&run)->add_pairs();
  pair->set_model_a("one");
  pair->set_model_b("two");
  v1::PairedDifference* centroid = pair->mutable_centroid_rel();
  centroid->set_difference(-0.05);
  centroid->set_ci_low(-0.08);
  centroid->set_ci_high(-0.02);
  centroid->set_equivalent(true);
  run.models[1].label = "the <second>";
  EXPECT_THAT(Report({run}),
              AllOf(HasSubstr("The centroid of the \\<second\\> lies before that of one (-0.050"),
                    HasSubstr("a difference is shown, but it is smaller than one layer"),
                    HasSubstr("one training run of each size")));
}

TEST(ReportTest, HostileNamesAreText) {
  SavedModel model = ExampleModel("tiny", 2, 2);
  model.label = "</script><b>`x`|[a](http://evil)\n# h \x1b[31m *y* www.evil";
  const std::string report = Report({ExampleRun("profile", {model})});
  EXPECT_THAT(report, AllOf(Not(HasSubstr("<b>")), Not(HasSubstr("](http://evil")), Not(HasSubstr("\n# h")),
                            Not(HasSubstr("\x1b")), Not(HasSubstr("http://")), Not(HasSubstr(" www.evil")),
                            HasSubstr("\\<b\\>")));
}

TEST(ReportTest, TheSameRunsGiveTheSameBytesInBothFiles) {
  const TemporaryFolder folder;
  const std::vector<SavedRun> runs = {ExampleRun("nulls", {ExampleWith("nulls")})};
  ASSERT_TRUE(WriteReport(runs, {}, folder / "a.html").ok());
  ASSERT_TRUE(WriteReport(runs, {}, folder / "b.html").ok());
  EXPECT_EQ(FileBytes(folder / "a.html"), FileBytes(folder / "b.html"));
  EXPECT_EQ(FileBytes(folder / "a.md"), FileBytes(folder / "b.md"));
}

TEST(ReportTest, AFolderThatCannotBeWrittenIsAnOutputError) {
  const auto status = WriteReport({}, {}, "/nonexistent/report.html");
  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace induct::client
