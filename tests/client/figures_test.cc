#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "client/child_process.h"
#include "client/figures/figure.h"
#include "client/figures/heatmap.h"
#include "client/figures/profile_curve.h"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::HasSubstr;
using testing::Not;

class FiguresTest : public testing::Test {
 protected:
  void SetUp() override {
    if (access("/usr/bin/gnuplot", X_OK) != 0) GTEST_SKIP() << "gnuplot is not installed";
  }
  void Draw(const v1::Profile& profile, const std::string& title) {
    const auto scores = ParseFloatNpy(MakeScores(profile));
    ASSERT_TRUE(scores.ok());
    const auto heatmap = HeatmapFigure(profile, title, *scores);
    ASSERT_TRUE(heatmap.ok()) << heatmap.status();
    for (const Figure& figure : {*heatmap, ProfileCurveFigure(profile, title)}) {
      const absl::Status drawn = DrawFigure(folder_.path(), figure);
      EXPECT_TRUE(drawn.ok()) << drawn;
    }
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

TEST_F(FiguresTest, EveryShapeOfModelIsDrawn) {
  for (const auto& [layers, heads] : {std::pair{1, 1}, {1, 12}, {4, 4}, {24, 16}, {48, 64}}) {
    for (const bool bootstrap : {false, true}) {
      Draw(MakeProfile("m", layers, heads, bootstrap), "model");
      const auto [width, height] = SizeOf("heatmap_m.png");
      EXPECT_TRUE(width >= 1000 && width < 2500 && height >= 1000 && height < 2500) << width << "x" << height;
    }
  }
}

TEST_F(FiguresTest, NamesAreShownAndNeverObeyed) {
  const std::string mark = folder_ / "obeyed";
  for (const std::string& title :
       {"`touch " + mark + "`", "'; system('touch " + mark + "'); '", "\"; system(\"touch " + mark + "\")",
        "$(touch " + mark + ")", std::string("a_b^c{d}@e\\n%s\nnewline\ttab"), std::string(500, 'w'),
        std::string("\xff\xfe")}) {
    Draw(MakeProfile("m", 4, 4, true), title);
    EXPECT_NE(access(mark.c_str(), F_OK), 0) << title;
  }
  Draw(MakeProfile("m", 4, 4, true), "under_score");
  EXPECT_THAT(FileBytes(folder_ / "heatmap_m.svg"), HasSubstr("under_score"));
}

TEST_F(FiguresTest, ACurveOfZeroesHasNoPeakAndIsDrawn) {
  v1::Profile profile = MakeProfile("m", 4, 4, false);
  for (double& value : *profile.mutable_per_layer()) value = 0;
  profile.clear_peak_layer();
  profile.clear_centroid_rel();
  Draw(profile, "flat");
  EXPECT_THAT(FileBytes(folder_ / "profile_m.gp"), Not(HasSubstr("peak")));
}

TEST_F(FiguresTest, TheCurveSaysWhatItAveragesAndHowSureItsPeakIs) {
  v1::Profile profile = MakeProfile("m", 4, 4, true);
  EXPECT_THAT(ProfileCurveFigure(profile, "m").settings, HasSubstr("'induction score of the top head of 4'"));
  EXPECT_THAT(ProfileCurveFigure(profile, "m").plot,
              HasSubstr("'peak: layer 2, depth 0.625 [0.480, 0.560]'"));
  profile.set_n_heads_kept(4);
  profile.set_aggregation("mean");
  profile.mutable_bootstrap()->mutable_peak_depth()->set_ci_low(0.56);
  EXPECT_THAT(ProfileCurveFigure(profile, "m").settings, HasSubstr("'mean induction score of all 4 heads'"));
  EXPECT_THAT(ProfileCurveFigure(profile, "m").plot, HasSubstr("'peak: layer 2, depth 0.625'"));
}

TEST_F(FiguresTest, TheScriptDrawsTheSamePictureAgainInItsOwnFolder) {
  Draw(MakeProfile("m", 4, 4, true), "model");
  const std::string png = FileBytes(folder_ / "profile_m.png");
  std::filesystem::remove(folder_ / "profile_m.png");
  const auto gnuplot =
      ChildProcess::Start({.arguments = {"gnuplot", "profile_m.gp"}, .folder = folder_.path()});
  ASSERT_TRUE(gnuplot.ok());
  ASSERT_TRUE((*gnuplot)->WaitFor(absl::Seconds(30)));
  EXPECT_EQ(FileBytes(folder_ / "profile_m.png"), png);
}

TEST_F(FiguresTest, AScriptThatFailsLeavesTheOldPictureAndSaysWhy) {
  Draw(MakeProfile("m", 4, 4, true), "model");
  const std::string png = FileBytes(folder_ / "profile_m.png");
  Figure broken = ProfileCurveFigure(MakeProfile("m", 4, 4, true), "model");
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

TEST_F(FiguresTest, ScoresOfAnotherShapeAreRefused) {
  const auto scores = ParseFloatNpy(MakeScores(MakeProfile("m", 4, 5, false)));
  EXPECT_EQ(HeatmapFigure(MakeProfile("m", 4, 4, false), "m", *scores).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace induct::client
