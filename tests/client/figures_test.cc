// Figures drawn by gnuplot: every kind, every shape, what a user may choose, and what goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/child_process.h"
#include "client/exit_code.h"
#include "client/figures/causal_delta.h"
#include "client/figures/heatmap.h"
#include "client/figures/pattern_map.h"
#include "client/figures/profile_curve.h"
#include "client/figures/run_figures.h"
#include "tests/client/example_runs.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> Names(const std::vector<Figure>& figures) {
  std::vector<std::string> names;
  for (const Figure& figure : figures) names.push_back(figure.name);
  return names;
}

// A model with every result there is.
SavedModel FullModel(const std::string& label, int n_layers, int n_heads, bool bootstrap = true) {
  SavedModel model = ExampleModel(label, n_layers, n_heads, bootstrap);
  model.results.Put(ExampleNulls(model));
  model.results.Put(ExampleCausal(model));
  model.results.Put(ExampleLagBuckets(model));
  AddExamplePattern(12, &model);
  AddExampleTargets(&model);
  return model;
}

class FiguresTest : public testing::Test {
 protected:
  void SetUp() override {
    if (access("/usr/bin/gnuplot", X_OK) != 0) GTEST_SKIP() << "gnuplot is not installed";
  }
  void Draw(const Figure& figure, const FigureOptions& options = {}) {
    const absl::Status drawn = DrawFigure(folder_.path(), figure, options);
    EXPECT_TRUE(drawn.ok()) << drawn;
  }
  // Width and height as the PNG's header has them.
  std::pair<uint32_t, uint32_t> SizeOf(const std::string& name) {
    const std::string png = FileBytes(folder_ / name);
    const auto number = [&](size_t at) {
      uint32_t value = 0;
      for (size_t i = at; i < at + 4 && i < png.size(); ++i)
        value = value << 8 | static_cast<unsigned char>(png[i]);
      return value;
    };
    return {number(16), number(20)};
  }
  TemporaryFolder folder_;
};

TEST_F(FiguresTest, EveryKindIsDrawnAsPngSvgAndPdf) {
  const SavedRun run =
      ExampleRun("multisize", {FullModel("a", 4, 4), FullModel("b", 6, 8), FullModel("c", 12, 12)});
  const std::vector<Figure> figures = RunFigures(run);
  EXPECT_THAT(Names(figures),
              testing::IsSupersetOf({"heatmap_a", "profile_b", "nulls_c", "nulls_heatmap_a", "causal_delta_b",
                                     "lag_overlay_c", "pattern_a_1.0_prompt7", "targets_b_mine",
                                     "contrast_c_mine_sink", "cross_size_overlay", "peak_depth_parameters"}));
  for (const Figure& figure : figures) {
    Draw(figure, {.format = "png,svg,pdf"});
    EXPECT_THAT(FileBytes(folder_ / (figure.name + ".png")), testing::StartsWith("\x89PNG"));
    EXPECT_THAT(FileBytes(folder_ / (figure.name + ".svg")), HasSubstr("</svg>"));
    EXPECT_THAT(FileBytes(folder_ / (figure.name + ".pdf")), testing::StartsWith("%PDF"));
  }
}

TEST_F(FiguresTest, EveryShapeOfModelIsDrawn) {
  for (const auto& [layers, heads] : {std::pair{1, 1}, {1, 12}, {48, 64}}) {
    for (const bool bootstrap : {false, true}) {
      SavedModel model = FullModel("m", layers, heads, bootstrap);
      model.results.Remove(*v1::AttentionPattern::descriptor());
      for (const Figure& figure : RunFigures(ExampleRun("profile", {model}))) Draw(figure);
      const auto [width, height] = SizeOf("heatmap_m.png");
      EXPECT_TRUE(width >= 1000 && width < 2500 && height >= 900 && height < 2500) << width << "x" << height;
    }
  }
}

TEST_F(FiguresTest, AModelOfOneHeadIsOneSquareOfColour) {
  Figure figure = HeatmapFigure(ExampleModel("m", 1, 1));
  const auto n_polygons = [&] {
    Draw(figure, {.format = "svg"});
    const std::vector<std::string> parts = absl::StrSplit(FileBytes(folder_ / "heatmap_m.svg"), "<polygon");
    return parts.size() - 1;
  };
  const size_t with_square = n_polygons();
  figure.plot = "plot '-' using 1:2:3 with points palette\n0 9 0\ne\n";  // the colours beside it alone
  EXPECT_EQ(with_square, n_polygons() + 1);
}

TEST_F(FiguresTest, NamesAreShownAndNeverObeyed) {
  const std::string mark = folder_ / "obeyed";
  for (const std::string& label :
       {"`touch " + mark + "`", "'; system('touch " + mark + "'); '", "\"; system(\"touch " + mark + "\")",
        "$(touch " + mark + ")", std::string("a_b^c{d}@e\\n%s\nnewline\ttab"), std::string(500, 'w'),
        std::string("\xff\xfe")}) {
    SavedModel model = FullModel("m", 4, 4);
    model.label = label;
    for (std::string& token : *Mutable<v1::AttentionPattern>(&model)->mutable_tokens()) token = label;
    if (label.size() < 400 && label[0] != '\xff') {
      Mutable<v1::Targets>(&model)->mutable_groups(0)->set_name(label);
      Mutable<v1::Targets>(&model)->mutable_contrasts(0)->set_group_a(label);
    }
    for (const Figure& figure : RunFigures(ExampleRun("nulls", {model}))) Draw(figure, {.format = "svg"});
    const SavedRun several = ExampleRun("multisize", {model, model, model});
    for (const Figure& figure : RunFigures(several)) Draw(figure, {.format = "svg", .title = label});
    EXPECT_NE(access(mark.c_str(), F_OK), 0) << label;
  }
  SavedModel model = FullModel("m", 4, 4);
  model.label = "under_score";
  Draw(HeatmapFigure(model));
  EXPECT_THAT(FileBytes(folder_ / "heatmap_m.svg"), HasSubstr("under_score"));
}

TEST_F(FiguresTest, ALongPatternNumbersItsPositionsAndAShortOneNamesItsTokens) {
  SavedModel model = ExampleModel("m", 4, 4);
  AddExamplePattern(200, &model);
  Draw(PatternFigure(model));
  EXPECT_THAT(FileBytes(folder_ / "pattern_m_1.0_prompt7.svg"),
              AllOf(HasSubstr("query position"), Not(HasSubstr("Mary"))));
  AddExamplePattern(20, &model);
  Draw(PatternFigure(model));
  EXPECT_THAT(FileBytes(folder_ / "pattern_m_1.0_prompt7.svg"),
              AllOf(HasSubstr("\xe2\x90\xa3Mary"), HasSubstr("\\n")));
}

TEST_F(FiguresTest, TheSizeAskedForIsThePngsAndLettersScale) {
  const Figure figure = ProfileCurveFigure(ExampleModel("m", 4, 4));
  Draw(figure, {.width = 700, .height = 600});
  EXPECT_EQ(SizeOf("profile_m.png"), (std::pair{700u, 600u}));
  EXPECT_THAT(FileBytes(folder_ / "profile_m.gp"), HasSubstr("size 700,600 font 'DejaVu Sans,15'"));
}

TEST_F(FiguresTest, TitleAndFontReplaceTheFiguresOwn) {
  const Figure figure = ProfileCurveFigure(ExampleModel("the label", 4, 4));
  Draw(figure, {.title = "Figure 2", .font = "DejaVu Serif"});
  EXPECT_THAT(FileBytes(folder_ / "profile_the_label.svg"),
              AllOf(HasSubstr("Figure 2"), HasSubstr("DejaVu Serif"), Not(HasSubstr("the label")),
                    HasSubstr("induction profile over layers")));
}

TEST_F(FiguresTest, PanelsOfAblationKeepTheirLabelsBesideLongNumbers) {
  SavedModel model = FullModel("m", 4, 4);
  Mutable<v1::Causal>(&model)->clear_random_k();
  Mutable<v1::Causal>(&model)->clear_matched_k();
  v1::IntervalEstimate* accuracy =
      Mutable<v1::Causal>(&model)->mutable_top_k()->mutable_delta()->mutable_copy_accuracy();
  accuracy->set_value(-0.0002);
  accuracy->set_ci_low(-0.0003);
  accuracy->set_ci_high(0);
  Draw(*CausalDeltaFigure(model), {.format = "svg"});
  EXPECT_THAT(FileBytes(folder_ / (CausalDeltaFigure(model)->name + ".svg")),
              AllOf(HasSubstr("-0.00025"), HasSubstr("change of the share that is right")));
}

TEST_F(FiguresTest, OnlyTheFormatsAskedForAreMade) {
  Draw(ProfileCurveFigure(ExampleModel("m", 4, 4)), {.format = "pdf"});
  EXPECT_EQ(access((folder_ / "profile_m.pdf").c_str(), F_OK), 0);
  EXPECT_NE(access((folder_ / "profile_m.png").c_str(), F_OK), 0);
}

TEST_F(FiguresTest, TheScriptDrawsTheSamePictureAgainInItsOwnFolder) {
  Draw(ProfileCurveFigure(ExampleModel("m", 4, 4)));
  const std::string png = FileBytes(folder_ / "profile_m.png");
  std::filesystem::remove(folder_ / "profile_m.png");
  const auto gnuplot =
      ChildProcess::Start({.arguments = {"gnuplot", "profile_m.gp"}, .folder = folder_.path()});
  ASSERT_TRUE(gnuplot.ok());
  ASSERT_TRUE((*gnuplot)->WaitFor(absl::Seconds(30)));
  EXPECT_EQ(FileBytes(folder_ / "profile_m.png"), png);
}

TEST_F(FiguresTest, AScriptThatFailsLeavesTheOldPictureAndSaysWhy) {
  Figure broken = ProfileCurveFigure(ExampleModel("m", 4, 4));
  Draw(broken);
  const std::string png = FileBytes(folder_ / "profile_m.png");
  for (const char* plot : {"plot 'missing.csv'\n", "no such command\n", "\n"}) {
    broken.plot = plot;
    const absl::Status drawn = DrawFigure(folder_.path(), broken);
    EXPECT_EQ(drawn.code(), absl::StatusCode::kInternal) << plot;
    EXPECT_EQ(FileBytes(folder_ / "profile_m.png"), png);
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr(".made")));
  }
}

TEST_F(FiguresTest, AFolderThatCannotBeWrittenIsAnErrorOfWriting) {
  SavedRun run = ExampleRun("profile", {ExampleModel("m", 4, 4)});
  EXPECT_EQ(ExitCodeOf(DrawRunFigures(run, {.folder = "/proc/none"}, "")), ExitCode::kOutput);
  run.path = folder_.path();
  EXPECT_EQ(ExitCodeOf(DrawRunFigures(run, {}, "/proc/none")), ExitCode::kOutput);
}

TEST_F(FiguresTest, TheNewestRunsPngsAreCopiedUnderTheirNames) {
  SavedRun run = ExampleRun("profile", {ExampleModel("m", 4, 4)});
  run.path = folder_.path();
  ASSERT_TRUE(DrawRunFigures(run, {}, folder_ / "newest").ok());
  EXPECT_EQ(FileBytes(folder_ / "newest/heatmap_m.png"), FileBytes(folder_ / "figs/heatmap_m.png"));
  EXPECT_NE(access((folder_ / "newest/heatmap_m.svg").c_str(), F_OK), 0);
}

TEST_F(FiguresTest, AModelsAblationsKeepTheirNameBesideTheNewestOfAllModels) {
  for (const char* model : {"a", "b"}) {
    SavedModel saved = ExampleModel(model, 4, 4);
    saved.results.Put(ExampleCausal(saved));
    saved.results.Remove(*v1::Profile::descriptor());
    RemoveArrays(&saved);
    SavedRun run = ExampleRun("causal", {saved});
    run.path = folder_ / model;
    ASSERT_TRUE(DrawRunFigures(run, {}, folder_ / "newest").ok());
  }
  for (const char* model : {"a", "b"}) {
    const std::string name = absl::StrCat("/causal_delta_", model, ".png");
    EXPECT_TRUE(FileBytes(folder_ / "newest" + name) == FileBytes(folder_ / model + "/figs" + name)) << model;
  }
  EXPECT_TRUE(FileBytes(folder_ / "newest/causal_delta.png") ==
              FileBytes(folder_ / "newest/causal_delta_b.png"));
  EXPECT_FALSE(FileBytes(folder_ / "newest/causal_delta_a.png") ==
               FileBytes(folder_ / "newest/causal_delta_b.png"));
}

TEST(FigureOptionsTest, WhatCannotBeIsRefused) {
  EXPECT_TRUE(CheckFigureOptions({}).ok());
  EXPECT_TRUE(
      CheckFigureOptions({.format = "pdf", .width = 200, .height = 10000, .font = "Liberation Serif"}).ok());
  for (const FigureOptions& options : {FigureOptions{.format = "gif"},
                                       {.format = ""},
                                       {.format = "png,"},
                                       {.width = 199},
                                       {.height = 10001},
                                       {.width = -5},
                                       {.title = "\xff"},
                                       {.font = "x,30"},
                                       {.font = "a'b"},
                                       {.font = "a:b"}}) {
    EXPECT_EQ(CheckFigureOptions(options).code(), absl::StatusCode::kInvalidArgument)
        << options.format << options.width << options.title << options.font;
  }
}

TEST(RunFiguresTest, NamesAreThoseOfThePlan) {
  SavedModel model = FullModel("org/m", 4, 4);
  EXPECT_THAT(Names(RunFigures(ExampleRun("causal", {model}))),
              ElementsAre("heatmap_org_m", "profile_org_m", "nulls_org_m", "nulls_heatmap_org_m",
                          "causal_delta_org_m", "lag_overlay_org_m", "pattern_org_m_1.0_prompt7",
                          "targets_org_m_mine", "targets_org_m_sink", "contrast_org_m_mine_sink"));
}

TEST(RunFiguresTest, WhatARunLacksIsNotDrawn) {
  SavedModel model = FullModel("m", 4, 4);
  RemoveArrays(&model);
  Mutable<v1::Nulls>(&model)->clear_head_permutation();
  Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent()->clear_lag_matched();
  Mutable<v1::Nulls>(&model)->mutable_shuffled_antecedent()->clear_uniform();
  model.results.Remove(*v1::Causal::descriptor());
  model.results.Remove(*v1::Targets::descriptor());
  EXPECT_THAT(Names(RunFigures(ExampleRun("nulls", {model}))), ElementsAre("profile_m", "lag_overlay_m"));
  EXPECT_THAT(RunFigures(ExampleRun("nulls", {})), testing::IsEmpty());
  EXPECT_THAT(Names(RunFigures(ExampleRun("crosssize", {ExampleModel("a", 4, 4), ExampleModel("b", 4, 4)}))),
              Not(testing::Contains("peak_depth_parameters")));
}

}  // namespace
}  // namespace induct::client
