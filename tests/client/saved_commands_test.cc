// `profiles` and `figures`: the commands that read saved runs alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "nlohmann/json.hpp"
#include "tests/client/example_runs.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;

// A run of `command` on the model named so.
void WriteModelRun(const std::string& folder, const std::string& command, const std::string& model,
                   const std::string& created) {
  SavedModel saved = ExampleModel(model, 4, 4);
  if (command == "causal") {
    saved.results.Put(ExampleCausal(saved));
    saved.results.Remove(*v1::Profile::descriptor());
    RemoveArrays(&saved);
  }
  SavedRun run = ExampleRun(command, {saved});
  run.metadata.set_created(created);
  WriteRun(run, folder);
}

TEST(ProfilesTest, ListsEveryModelOfEveryRunByTime) {
  const TemporaryFolder folder;
  WriteModelRun(folder / "outputs/runs/1", "profile", "org/m@step3000", "2026-02-01T00:00:00Z");
  WriteModelRun(folder / "outputs/runs/2", "causal", "late", "2026-03-01T00:00:00Z");
  SavedRun several = ExampleRun("crosssize", {ExampleModel("a", 4, 4), ExampleModel("b", 6, 4, false)});
  WriteRun(several, folder / "outputs/runs/3");
  const ClientResult result = RunClient({"profiles"}, folder.path(), {{"TZ", "UTC"}});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, IsEmpty());
  EXPECT_THAT(
      Lines(result.out),
      ElementsAre(
          MatchesRegex("TIME +COMMAND +STATE +MODEL +REVISION +SCORE +PEAK DEPTH +CENTROID +95 % INTERVAL +"
                       "BANDWIDTH +RUN"),
          MatchesRegex(
              "2026-01-02 03:04:05  crosssize  succeeded  a +induction  0.625 +0.520 +0.480 to 0.560  "
              "0.310 +outputs/runs/3"),
          MatchesRegex("2026-01-02 .* b +induction  0.583 +0.520 +-  +0.310 .*"),
          MatchesRegex("2026-02-01 .* org/m +step3000  induction .*/1"),
          MatchesRegex("2026-03-01 .* causal +succeeded  late +-  .*/2")));
}

TEST(ProfilesTest, TheRevisionOfTheMetadataCountsFirst) {
  const TemporaryFolder folder;
  SavedRun run = ExampleRun("profile", {ExampleModel("m@main", 4, 4)});
  run.metadata.mutable_models(0)->set_revision("abc123");
  WriteRun(run, folder / "runs/1");
  const json rows = json::parse(RunClient({"profiles", ".", "--json"}, folder.path()).out);
  EXPECT_EQ(rows[0]["model"], "m");
  EXPECT_EQ(rows[0]["revision"], "abc123");
}

TEST(ProfilesTest, JsonHasNumbersAndNothingThatIsUndefined) {
  const TemporaryFolder folder;
  SavedModel flat = ExampleModel("flat", 4, 4, /*bootstrap=*/false);
  Mutable<v1::Profile>(&flat)->clear_peak_layer();
  Mutable<v1::Profile>(&flat)->clear_peak_depth();
  Mutable<v1::Profile>(&flat)->clear_centroid_rel();
  Mutable<v1::Profile>(&flat)->clear_bandwidth_interpolated();
  WriteRun(ExampleRun("profile", {flat}), folder / "runs/1");
  WriteModelRun(folder / "runs/2", "nulls", "m", "2026-05-01T00:00:00Z");
  const json rows = json::parse(RunClient({"profiles", ".", "--json"}, folder.path()).out);
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0]["n_layers"], 4);
  for (const char* key : {"peak_depth", "centroid_rel", "bandwidth", "revision"})
    EXPECT_FALSE(rows[0].contains(key));
  EXPECT_EQ(rows[1]["command"], "nulls");
  EXPECT_EQ(rows[1]["peak_depth"], 0.625);
  EXPECT_EQ(rows[1]["centroid_rel_ci_high"], 0.56);
  EXPECT_EQ(rows[1]["created"], "2026-05-01T00:00:00Z");
}

TEST(ProfilesTest, CsvQuotesWhatNeedsItAndHasTheColumnsOfTheJson) {
  const TemporaryFolder folder;
  SavedRun run = ExampleRun("profile", {ExampleModel("m", 4, 4)});
  run.metadata.mutable_models(0)->set_source("a,\"b\"\nc@r,1");
  WriteRun(run, folder / "runs/1");
  const ClientResult result = RunClient({"profiles", ".", "--csv"}, folder.path());
  EXPECT_THAT(result.out, testing::StartsWith("created,command,state,model,revision,score,n_layers,"));
  EXPECT_THAT(
      result.out,
      HasSubstr("\n2026-01-02T03:04:05Z,profile,succeeded,\"a,\"\"b\"\"\nc\",\"r,1\",induction,4,4,400,2,"
                "0.625,0.48,0.56,0.52,0.48,0.56,,0.31,0.48,0.56,./runs/1\n"));
}

TEST(ProfilesTest, HostileNamesDoNotSteerTheTerminal) {
  const TemporaryFolder folder;
  SavedRun run = ExampleRun("profile", {ExampleModel("m", 4, 4)});
  run.metadata.mutable_models(0)->set_source("m\x1b[2J@\nrev");
  run.metadata.set_command("\x1b]0;x\x07");
  run.metadata.set_created("yesterday\r");
  WriteRun(run, folder / "runs/1\x1b[31m\xff");
  std::filesystem::create_directories(folder / "runs/no run\x1b[31m");
  const ClientResult table = RunClient({"profiles", "."}, folder.path());
  EXPECT_THAT(table.out, AllOf(HasSubstr("m\\x1b[2J"), HasSubstr("\\nrev"), HasSubstr("yesterday\\r"),
                               Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
  EXPECT_THAT(table.err, AllOf(HasSubstr("no run\\x1b"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(json::parse(RunClient({"profiles", ".", "--json"}, folder.path()).out), SizeIs(1));
}

TEST(ProfilesTest, WhatCannotBeReadIsNamedAndTheRestListed) {
  const TemporaryFolder folder;
  for (const char* run : {"damaged", "failed", "future", "good", "no_metadata", "unstarted"})
    WriteModelRun(folder / "runs/" + run, "profile", run, "2026-02-01T00:00:00Z");
  std::filesystem::resize_file(folder / "runs/damaged/profile_damaged.json", 40);
  std::filesystem::remove(folder / "runs/no_metadata/metadata.json");
  WriteBytes(folder / "runs/future/metadata.json", "{\"format\": 99}");
  WriteBytes(folder / "runs/failed/metadata.json",
             "{\"state\": \"failed\", \"command\": \"nulls\", \"error\": \"no words\", \"labels\": [\"x\", "
             "\"y\"], \"format\": 1}");
  WriteBytes(folder / "runs/unstarted/metadata.json", "{\"state\": \"run");
  const ClientResult result = RunClient({"profiles", "."}, folder.path());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr(" good "), HasSubstr("succeeded  damaged"),
                                HasSubstr("nulls    failed     x, y ")));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("profile_damaged.json cannot be used"), HasSubstr("no_metadata is no run"),
                    HasSubstr("future was written by a later induct"), HasSubstr("unstarted/metadata.json"),
                    HasSubstr("its state is \"failed\": no words")));
  EXPECT_THAT(json::parse(RunClient({"profiles", ".", "--json"}, folder.path()).out), SizeIs(3));
}

TEST(ProfilesTest, AnEmptyFolderSaysThatThereAreNoRuns) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "mine/runs");
  EXPECT_EQ(RunClient({"profiles", "mine"}, folder.path()).out, "no runs in mine\n");
  EXPECT_EQ(RunClient({"profiles"}, folder.path(), {{"INDUCT_OUTPUT_DIR", "mine"}}).out, "no runs in mine\n");
  EXPECT_EQ(json::parse(RunClient({"profiles", "mine", "--json"}, folder.path()).out), json::array());
  EXPECT_THAT(Lines(RunClient({"profiles", "mine", "--csv"}, folder.path()).out), SizeIs(1));
  EXPECT_EQ(RunClient({"profiles"}, folder.path()).exit_code, 2);
}

class FiguresCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    if (access("/usr/bin/gnuplot", X_OK) != 0) GTEST_SKIP() << "gnuplot is not installed";
    WriteModelRun(folder_ / "run", "profile", "m", "2026-02-01T00:00:00Z");
  }
  ClientResult Figures(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "figures");
    return RunClient(arguments, folder_.path());
  }
  TemporaryFolder folder_;
};

TEST_F(FiguresCommandTest, DrawsIntoTheRunsFigsByDefault) {
  const ClientResult result = Figures({"run"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "2 figures (png,svg) in run/figs\n");
  EXPECT_THAT(result.err, IsEmpty());
  EXPECT_THAT(FileBytes(folder_ / "run/figs/profile_m.png"), testing::StartsWith("\x89PNG"));
  EXPECT_THAT(FileBytes(folder_ / "run/figs/heatmap_m.gp"), HasSubstr("DejaVu Sans"));
}

TEST_F(FiguresCommandTest, SeveralRunsAreDrawnEachIntoItsOwnFigs) {
  WriteModelRun(folder_ / "other", "profile", "m", "2026-02-01T00:00:00Z");
  const ClientResult result = Figures({"run", "other", "--format", "svg"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "2 figures (svg) in run/figs\n2 figures (svg) in other/figs\n");
  for (const char* run : {"run", "other"})
    EXPECT_THAT(FileBytes(folder_ / run + "/figs/profile_m.svg"), HasSubstr("</svg>"));
}

TEST_F(FiguresCommandTest, ARunThatCannotBeReadKeepsNoOtherFromBeingDrawn) {
  std::filesystem::create_directories(folder_ / "empty");
  const ClientResult result = Figures({"none", "run", "empty", "--format", "svg"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("none is no run directory"), HasSubstr("empty is no run directory")));
  EXPECT_EQ(result.out, "2 figures (svg) in run/figs\n");
}

TEST_F(FiguresCommandTest, SeveralRunsHaveNoPlaceInOneFolder) {
  WriteModelRun(folder_ / "other", "profile", "m", "2026-02-01T00:00:00Z");
  const ClientResult result = Figures({"run", "other", "--output", "paper"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--output: one folder for 2 runs"));
  EXPECT_NE(access((folder_ / "paper").c_str(), F_OK), 0);
}

TEST_F(FiguresCommandTest, FormatSizeTitleFontAndFolderAreTheUsers) {
  const ClientResult result = Figures({"run", "--format", "pdf", "--size", "1200x800", "--title", "Figure 2",
                                       "--font", "DejaVu Serif", "--output", "paper/figs"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(FileBytes(folder_ / "paper/figs/profile_m.pdf"), testing::StartsWith("%PDF"));
  EXPECT_THAT(FileBytes(folder_ / "paper/figs/profile_m.gp"),
              AllOf(HasSubstr("Figure 2"), HasSubstr("font 'DejaVu Serif,"), HasSubstr("size 3in,2in")));
  EXPECT_NE(access((folder_ / "run/figs").c_str(), F_OK), 0);
}

TEST_F(FiguresCommandTest, AFontThatIsNotInstalledIsSaid) {
  const ClientResult result = Figures({"run", "--font", "No-Such Font"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("the font \"No-Such Font\" is not installed here: drawn in "));
}

TEST_F(FiguresCommandTest, ProblemsAreNamedAndTheRestIsDrawn) {
  std::filesystem::resize_file(folder_ / "run/scores_m.npy", 140);
  const ClientResult result = Figures({"run"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("run: scores_m.npy cannot be used"));
  EXPECT_EQ(result.out, "1 figure (png,svg) in run/figs\n");
}

TEST_F(FiguresCommandTest, ARunWithoutAnythingToDrawIsAnErrorThatSaysWhatIsWrong) {
  std::filesystem::resize_file(folder_ / "run/profile_m.json", 30);
  const ClientResult result = Figures({"run"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("run holds nothing to draw"), HasSubstr("profile_m.json")));
  EXPECT_NE(access((folder_ / "run/figs").c_str(), F_OK), 0);
}

TEST_F(FiguresCommandTest, WhatCannotBeIsWrongUsage) {
  std::filesystem::create_directories(folder_ / "empty");
  std::filesystem::create_directories(folder_ / "future");
  WriteBytes(folder_ / "future/metadata.json", "{\"format\": 2}");
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"none"}, "none is no run directory"},
      {{"empty"}, "empty is no run directory"},
      {{"run/config.yaml"}, "is no run directory"},
      {{"future"}, "later induct"},
      {{"run", "--format", "gif"}, "\"gif\" is no format of pictures: png, svg or pdf"},
      {{"run", "--format", ""}, "is no format"},
      {{"run", "--size", "1200"}, "--size: \"1200\" is no size"},
      {{"run", "--size", "1200x"}, "is no size"},
      {{"run", "--size", "0x800"}, "is no size"},
      {{"run", "--size", "-1x800"}, "is no size"},
      {{"run", "--size", "20x30"}, "each side may have 200 to 10000 pixels"},
      {{"run", "--size", "99999999999x800"}, "is no size"},
      {{"run", "--font", "x'; system('y')"}, "is no font's name"},
      {{"run", "--title", "\xff"}, "no valid UTF-8"},
      {{"run", "--fromat", "pdf"}, "did you mean --format?"},
  };
  for (const auto& [arguments, message] : cases) {
    const ClientResult result = Figures(arguments);
    EXPECT_EQ(result.exit_code, 2) << message << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
  }
}

TEST_F(FiguresCommandTest, WhatCannotBeWrittenIs4) {
  EXPECT_EQ(Figures({"run", "--output", "run/config.yaml/x"}).exit_code, 4);
  const ClientResult result = RunClient({"figures", "run"}, folder_.path(), {{"PATH", folder_.path()}});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("gnuplot"));
}

}  // namespace
}  // namespace induct::client
