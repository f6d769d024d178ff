// The kind "targets": what its flags make of files and names, what a saved result must be, and what is told.
#include "client/kinds/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/figures/targets_heatmap.h"
#include "client/repeat_flags.h"
#include "client/report/document.h"
#include "client/report/markdown.h"
#include "client/summary.h"
#include "common/atomic_file.h"
#include "common/status.h"
#include "tests/client/example_runs.h"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const AnalysisKind& Kind() { return *KindOfCommand("targets"); }

absl::Status Apply(const std::string& flag, const std::vector<std::string>& values, v1::JobSpec* spec) {
  for (const KindFlag& each : Kind().flags) {
    if (each.name == flag) return each.apply(values, spec);
  }
  return absl::NotFoundError(flag);
}

class TargetFileTest : public testing::Test {
 protected:
  absl::Status Read(const std::string& bytes) {
    spec_.Clear();
    EXPECT_TRUE(WriteFileAtomically(path_, bytes).ok());
    return Apply("--targets", {path_}, &spec_);
  }
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "t.jsonl";
  v1::JobSpec spec_;
};

TEST_F(TargetFileTest, ATargetALineWithPositionsOrRanges) {
  const absl::Status read = Read(
      "{\"prompt\": 0, \"query\": 7, \"key\": 3, \"group\": \"name\", \"weight\": 2.5}\r\n\n"
      "{\"prompt\": 2, \"query\": [5, 6], \"key\": [0, 5]}");
  ASSERT_TRUE(read.ok()) << read;
  ASSERT_THAT(spec_.targets().targets(), SizeIs(2));
  const v1::Target &first = spec_.targets().targets(0), &second = spec_.targets().targets(1);
  EXPECT_THAT(absl::StrCat(first.prompt(), " ", first.first_query(), "-", first.last_query(), " ",
                           first.first_key(), "-", first.last_key(), " ", first.group(), " ", first.weight()),
              "0 7-7 3-3 name 2.5");
  EXPECT_THAT(
      absl::StrCat(second.prompt(), " ", second.first_query(), "-", second.last_query(), " ",
                   second.first_key(), "-", second.last_key(), " ", second.group(), " ", second.weight()),
      "2 5-6 0-5 targets 1");
}

TEST_F(TargetFileTest, BadLinesAreNamedWithWhatIsWrong) {
  const auto line = [](const std::string& query, const std::string& key, const std::string& more = "") {
    return absl::StrCat("{\"prompt\": 0, \"query\": ", query, ", \"key\": ", key, more, "}");
  };
  const std::pair<std::string, const char*> cases[] = {
      {"[0, 7, 3]", "no JSON object"},
      {"{\"prompt\": 0", "no JSON object"},
      {line("7", "3", ", \"weights\": 1"), "there is no key \"weights\"; did you mean weight?"},
      {"{\"query\": 7, \"key\": 3}", "no prompt; a target has prompt, query and key"},
      {"{\"prompt\": 0, \"key\": 3}", "no query;"},
      {"{\"prompt\": 0, \"query\": 3}", "no key;"},
      {"{\"prompt\": -1, \"query\": 7, \"key\": 3}", "prompt: -1 is no whole number from 0"},
      {line("7.5", "3"), "query: 7.5 is no whole number from 0"},
      {line("7", "-3"), "key: -3 is no whole number from 0"},
      {line("4294967296", "3"), "query: 4294967296 is no whole number from 0 to 4294967295"},
      {line("\"7\"", "3"), "query: \"7\" is no whole number"},
      {line("null", "3"), "query: null is no whole number"},
      {line("[7]", "3"), "query: [7] is no position and no range, [first, last]"},
      {line("[7,8,9]", "3"), "query: [7,8,9] is no position and no range"},
      {line("[7,-8]", "3"), "query: -8 is no whole number"},
      {line("[8,7]", "3"), "query: [8,7] ends before it begins"},
      {line("7", "[3,2]"), "key: [3,2] ends before it begins"},
      {line("7", "8"), "key 8 is behind query 7, which cannot attend to it"},
      {line("[7,9]", "[2,8]"), "key 8 is behind query 7, which cannot attend to it"},
      {line("7", "3", ", \"group\": 1"), "group: 1 is no name"},
      {line("7", "3", ", \"group\": \"\""), "group: \"\" is no name"},
      {line("7", "3", ", \"weight\": 0"), "weight: 0 is no number above 0"},
      {line("7", "3", ", \"weight\": -0.5"), "weight: -0.5 is no number above 0"},
      {line("7", "3", ", \"weight\": \"1\""), "weight: \"1\" is no number above 0"},
      {line("7", "3", ", \"weight\": 1e999"), "no JSON object"},
  };
  for (const auto& [bad, error] : cases) {
    const absl::Status status = Read(absl::StrCat(line("7", "7"), "\n\n", bad, "\n", line("1", "1")));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(path_, ":3: ", error)));
  }
  EXPECT_THAT(std::string(Read("\n").message()), HasSubstr("holds no target"));
}

TEST_F(TargetFileTest, OneTooManyIsNamedByItsLine) {
  std::string bytes;
  for (int i = 0; i <= 1'000'000; ++i) bytes += "{\"prompt\":0,\"query\":0,\"key\":0}\n";
  EXPECT_THAT(std::string(Read(bytes).message()), HasSubstr("t.jsonl:1000001: more than 1000000 targets"));
}

TEST(TargetsFlagsTest, DetectorsAreKnownAndGivenOnce) {
  v1::JobSpec spec;
  spec.mutable_targets()->add_targets()->set_group("self");
  const std::vector<std::string> good = {"sink", "offset:12", "same_token", "token: the", "token:,"};
  ASSERT_TRUE(Apply("--detect", good, &spec).ok());
  EXPECT_EQ(absl::StrJoin(spec.targets().detectors(), "|"), absl::StrJoin(good, "|"));
  for (const char* bad :
       {"", "Sink", "offset:", "offset:0", "offset:-1", "offset:1.5", "offset", "token:", "x"}) {
    EXPECT_THAT(std::string(Apply("--detect", {bad}, &spec).message()),
                HasSubstr(absl::StrCat("--detect: \"", bad, "\" is none: sink, self, offset:K")));
  }
  for (const char* twice : {"sink", "self"})
    EXPECT_THAT(std::string(Apply("--detect", {twice}, &spec).message()), HasSubstr("is given twice"));
  EXPECT_THAT(std::string(Apply("--detect", {"token:\xff"}, &spec).message()), HasSubstr("no valid UTF-8"));
}

TEST(TargetsFlagsTest, ContrastsArePairsOfGroupsWhoseNamesMayHoldCommas) {
  v1::JobSpec spec;
  for (const char* group : {"a", "b,c", "late", "d,a"})
    spec.mutable_targets()->add_targets()->set_group(group);
  spec.mutable_targets()->add_detectors("token:,");
  ASSERT_TRUE(Apply("--contrast", {"a,late", "a,b,c", "token:,,a", "b,c,token:,"}, &spec).ok());
  std::vector<std::string> pairs;
  for (const v1::Contrast& each : spec.targets().contrasts())
    pairs.push_back(absl::StrCat(each.group_a(), "|", each.group_b()));
  EXPECT_THAT(pairs, ElementsAre("a|late", "a|b,c", "token:,|a", "b,c|token:,"));
  spec.mutable_targets()->add_targets()->set_group("a,b");
  spec.mutable_targets()->add_targets()->set_group("c");
  const std::pair<const char*, const char*> bad[] = {
      {"a", "--contrast: \"a\" is no pair of groups; write A,B"},
      {"a,lat", "--contrast: there is no group \"lat\"; did you mean late?"},
      {"what else,a", "--contrast: there is no group \"what else\""},
      {"a,a", "--contrast: a is compared with itself"},
      {"a,b,c", "--contrast: \"a,b,c\" is 2 pairs of groups"},
      {"", "is no pair"},
      {",", "there is no group \"\""}};
  for (const auto& [text, error] : bad)
    EXPECT_THAT(std::string(Apply("--contrast", {text}, &spec).message()), HasSubstr(error));
}

TEST(TargetsFlagsTest, AResolvedSpecTellsThemAgain) {
  v1::JobSpec spec;
  spec.mutable_targets()->mutable_profile()->set_model("org/m");
  spec.mutable_targets()->add_detectors("token: it's\n");
  EXPECT_EQ(FlagsToRepeat(spec, "org/m", {"org/m"}), "--detect $'token: it\\'s\\012'");
  spec.mutable_targets()->set_n_targets(3);
  v1::Contrast* contrast = spec.mutable_targets()->add_contrasts();
  contrast->set_group_a("my, group");
  contrast->set_group_b("b");
  EXPECT_EQ(FlagsToRepeat(spec, "org/m", {"org/m"}),
            "--targets RUN/targets_org_m.jsonl --detect $'token: it\\'s\\012' --contrast 'my, group,b'");
}

TEST(TargetsCommandTest, SendsWhatItIsGivenAndNothingWithoutIt) {
  Script script = SuccessfulScript("m");
  const FakeServer server(script);
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "t.jsonl", "{\"prompt\": 0, \"query\": 1, \"key\": 0}\n").ok());
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"targets",        "--model", "m",          "--server",
                                    server.address(), "--quiet", "--no_report"};
    all.insert(all.end(), more.begin(), more.end());
    return RunClient(all, folder.path(), {{"PATH", folder.path()}});
  };
  const ClientResult none = run({"--contrast", "a,b"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("there is nothing to read: give --targets FILE, --detect NAME, or both"));
  EXPECT_THAT(server.record().created, IsEmpty());
  run({"--contrast", "sink,targets", "--detect", "sink", "--targets", "t.jsonl", "--detect", "self",
       "--contrast", "self,sink", "--null_resamples", "99", "--aggregation", "mean", "--bootstrap_resamples",
       "50"});
  const v1::TargetsSpec spec = server.record().created.at(0).targets();
  EXPECT_THAT(spec.targets(), SizeIs(1));
  EXPECT_THAT(spec.detectors(), ElementsAre("sink", "self"));
  EXPECT_THAT(spec.contrasts(), SizeIs(2));
  EXPECT_EQ(spec.profile().evaluation().null_resamples(), 99u);
  EXPECT_THAT(
      FileBytes(RunDirectories(folder.path()).at(0) + "/config.yaml"),
      HasSubstr("induct-client targets --settings RUN/config.yaml --targets RUN/targets_m.jsonl "
                "--detect 'sink' --detect 'self' --contrast 'sink,targets' --contrast 'self,sink'\n"));
  for (const char* idle : {"--score", "--antecedents", "--min_lag", "--lag_edges"})
    EXPECT_EQ(run({"--detect", "sink", idle, "3"}).exit_code, 2) << idle;
}

TEST(TargetsCommandTest, WhatTheServerSaysOfATargetNamesItsLine) {
  Script script = SuccessfulScript("m");
  script.creations = {
      ServerError(grpc::StatusCode::INVALID_ARGUMENT, "bad", reason::kInvalidField, "targets[1]")};
  const FakeServer server(script);
  const TemporaryFolder folder;
  const std::string line = "{\"prompt\": 0, \"query\": 1, \"key\": 0}\n";
  ASSERT_TRUE(WriteFileAtomically(folder / "t.jsonl", line + "\n" + line).ok());
  const ClientResult result =
      RunClient({"targets", "--model", "m", "--targets", "t.jsonl", "--server", server.address(), "--quiet"},
                folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("induct-client: t.jsonl:3: "));
}

SavedModel WithTargets() {
  SavedModel model = ExampleModel("m", 4, 3);
  AddExampleTargets(&model);
  model.results.Remove(*v1::Profile::descriptor());
  return model;
}

std::string TargetsSummaryOf(const SavedModel& model) {
  return SummaryText(ExampleRun("targets", {model}), "there");
}

TEST(TargetsSummaryTest, TellsEachGroupAndContrast) {
  EXPECT_THAT(
      TargetsSummaryOf(WithTargets()),
      AllOf(HasSubstr(
                "m: attention by group of 4 layers x 3 heads; a score is the mean of a group's operations\n"
                "group mine: 1,200 operations in 400 prompts\n"
                "best heads                layer 2 head 0: 0.850 [0.830, 0.870]\n"
                "                          layer 2 head 1: 0.425 [0.405, 0.445]\n"),
            HasSubstr("group sink: 1,200 operations in 400 prompts, weight 60.5\n"),
            HasSubstr("group token: x: no operation\n"),
            HasSubstr("contrast mine - sink:\n"
                      "largest difference        layer 2 head 0: +0.350 (95 % interval 0.320 to 0.380); "
                      "prompts' own +0.370, p = 0.001\n"
                      "test                      2 of 12 heads were shown to differ (p <= 0.05, adjusted "
                      "over heads)\n"
                      "                          the difference is that of the means over all operations; p "
                      "is of the "
                      "mean of prompts' own differences, over the 390 prompts with both\n"),
            HasSubstr("contrast mine - token: x: none, as one of them has no operation\n"),
            HasSubstr("note                      best heads and largest differences were chosen as such"),
            HasSubstr("intervals                 speak of prompts")));
}

TEST(TargetsSummaryTest, NothingFoundIsSaidSoAndTheLargestIsOfAll) {
  SavedModel model = WithTargets();
  v1::TargetContrast* contrast = Mutable<v1::Targets>(&model)->mutable_contrasts(0);
  for (double& p : *contrast->mutable_p_adjusted()->mutable_values()) p = 0.06;
  EXPECT_THAT(TargetsSummaryOf(model),
              AllOf(HasSubstr("no head was shown to differ (p <= 0.05, adjusted over heads)\n"),
                    HasSubstr("largest difference        layer 0 head 2: -0.48")));
  contrast->clear_p_adjusted();
  contrast->clear_heads();
  contrast->set_n_prompts(1);
  EXPECT_THAT(TargetsSummaryOf(model),
              AllOf(HasSubstr("no p-values: 1 prompt with operations of both, where a test takes five\n"),
                    Not(HasSubstr("prompts' own"))));
}

TEST(TargetsSummaryTest, FewPromptsAreThoseOfTheSmallestGroup) {
  SavedModel model = WithTargets();
  EXPECT_THAT(TargetsSummaryOf(model), Not(HasSubstr("few prompts")));
  Mutable<v1::Targets>(&model)->mutable_groups(1)->set_n_prompts(59);
  EXPECT_THAT(TargetsSummaryOf(model), HasSubstr("few prompts"));
  Mutable<v1::Targets>(&model)->set_resamples(0);
  EXPECT_THAT(TargetsSummaryOf(model), Not(HasSubstr("few prompts")));
}

TEST(TargetsSummaryTest, NamesDoNotSteerTheTerminal) {
  SavedModel model = WithTargets();
  Mutable<v1::Targets>(&model)->mutable_groups(0)->set_name("\x1b[2J");
  Mutable<v1::Targets>(&model)->mutable_contrasts(0)->set_group_a("\x1b[2J");
  EXPECT_THAT(TargetsSummaryOf(model), AllOf(HasSubstr("group \\x1b[2J: "), Not(HasSubstr("\x1b"))));
}

std::string TargetsReport(const SavedModel& model) {
  return MarkdownPage(MakeDocument({ExampleRun("targets", {model})}, {}, ""));
}

TEST(TargetsReportTest, GroupsContrastsAndTheirLimitsAreTold) {
  SavedModel model = WithTargets();
  Mutable<v1::Targets>(&model)->mutable_groups(1)->set_n_prompts(7);
  EXPECT_THAT(TargetsReport(model),
              AllOf(HasSubstr("How much do heads attend where the user says?"),
                    HasSubstr("| mine | 1,200 | 400 | 1200 | layer 2 head 0 | 0.850 | 0.830 to 0.870 |"),
                    HasSubstr("| token: x | 0 | 0 | - | - | - | - |"),
                    HasSubstr("In the group \"mine\", 1,200 operations in 400 prompts, the highest heads of "
                              "m are layer 2 head "
                              "0 (0.850 "),
                    HasSubstr("The group \"token: x\" has no operation."),
                    HasSubstr("Contrast mine - sink: 2 of 12 heads were shown to differ"),
                    HasSubstr("the prompts' own differences are +0.370 on average, p = 0.001"),
                    HasSubstr("There is no contrast mine - token: x: one of the two has no operation."),
                    HasSubstr("Few prompts: the group \"sink\" of m rests on 7 prompts"),
                    HasSubstr("chosen as such: their level is too high")));
}

TEST(TargetsReportTest, ChartsAreThoseOfGroupsCurvesAndContrasts) {
  SavedModel model = WithTargets();
  const SavedRun run = ExampleRun("targets", {model});
  std::vector<std::string> charts;
  for (const Block& block : TargetsFindings({run, &run.models[0]}, {run}).blocks) {
    if (const auto* chart = std::get_if<Chart>(&block))
      charts.push_back(absl::StrCat(chart->kind, " ", chart->image));
  }
  EXPECT_THAT(charts, ElementsAre("heads targets_m_mine.png", "heads targets_m_sink.png", "overlay ",
                                  "effects contrast_m_mine_sink.png"));
}

TEST(TargetsFiguresTest, AHeatmapAGroupAndAContrast) {
  SavedModel model = WithTargets();
  const std::vector<Figure> figures = TargetsFigures(model);
  ASSERT_THAT(figures, SizeIs(3));
  EXPECT_EQ(figures[0].name, "targets_m_mine");
  EXPECT_EQ(figures[1].name, "targets_m_sink");
  EXPECT_EQ(figures[2].name, "contrast_m_mine_sink");
  EXPECT_THAT(Lines(figures[0].csv), testing::Contains("2,0,0.850000024"));
  EXPECT_THAT(absl::StrJoin(figures[1].title, "\n"),
              "m\nattention per head: sink\n1,200 operations in 400 prompts, weight 60.5");
  EXPECT_THAT(figures[2].csv, HasSubstr("layer,head,difference,ci_low,ci_high,prompt_effect,p_adjusted\n"));
  EXPECT_THAT(figures[2].plot, HasSubstr("($7 <= 0.05 ? $2 : NaN)"));
  EXPECT_THAT(absl::StrJoin(figures[2].title, "\n"),
              "m\nmine - sink; rings: p <= 0.05, adjusted over all heads (2 of 12)\n390 prompts with "
              "operations of both");
  Mutable<v1::Targets>(&model)->mutable_contrasts(0)->clear_p_adjusted();
  Mutable<v1::Targets>(&model)->mutable_contrasts(0)->clear_heads();
  const Figure plain = TargetsFigures(model)[2];
  EXPECT_THAT(plain.plot, Not(HasSubstr("pt 6")));
  EXPECT_THAT(plain.title[1], HasSubstr("too few prompts for a test"));
}

TEST(TargetsFiguresTest, NamesAreSafeShortAndDistinct) {
  SavedModel model = WithTargets();
  v1::Targets* targets = Mutable<v1::Targets>(&model);
  const std::string long_name(200, '/');
  targets->mutable_groups(0)->set_name(long_name);
  targets->mutable_contrasts(0)->set_group_a(long_name);
  *targets->add_contrasts() = targets->contrasts(0);
  targets->mutable_contrasts(2)->set_group_a(std::string(199, '/') + "x");
  EXPECT_EQ(ContrastFigureName(model, 0), "contrast_m_" + std::string(60, '_') + "_sink");
  EXPECT_EQ(ContrastFigureName(model, 2), "contrast_m_" + std::string(60, '_') + "_sink-2");
}

class SavedTargetsTest : public testing::Test {
 protected:
  void SetUp() override { WriteRun(ExampleRun("targets", {WithTargets()}), path_); }
  std::vector<std::string> ProblemsAfter(const std::string& from, const std::string& to) {
    std::filesystem::remove_all(path_);
    SetUp();
    const std::string file = path_ + "/targets_m.json";
    const std::string before = FileBytes(file);
    std::string after = before;
    const size_t at = before.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    WriteBytes(file, after.replace(at, from.size(), to));
    return ReadRun(path_)->problems;
  }
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "run";
};

TEST_F(SavedTargetsTest, ComesBackWithItsArrays) {
  const auto run = ReadRun(path_);
  ASSERT_TRUE(run.ok());
  EXPECT_THAT(run->problems, IsEmpty());
  EXPECT_THAT(run->models[0].Get<v1::Targets>()->groups(), SizeIs(3));
  EXPECT_NE(run->models[0].results.Array("targets_m_mine.npy"), nullptr);
}

TEST_F(SavedTargetsTest, DamageIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"\"n_layers\": 4", "\"n_layers\": 5"},
      {"\"per_layer\": [", "\"per_layer\": [0, "},
      {"\"ci_low\": [", "\"ci_low\": [0, "},
      {"\"file\": \"targets_m_mine.npy\"", "\"file\": \"../../etc/passwd\""},
      {"\"file\": \"targets_m_mine.npy\"", "\"file\": \"config.yaml\""},
      {"\"file\": \"targets_m_mine.npy\"", "\"file\": \"targets_m_sink.npy\""},
      {"\"name\": \"sink\"", "\"name\": \"mine\""},
      {"\"group_b\": \"sink\"", "\"group_b\": \"token: x\""},
      {"\"group_b\": \"sink\"", "\"group_b\": \"other\""},
      {"\"prompt_effect\"", "\"of_a_newer_server\""},
      {"\"scores\"", "\"of_a_newer_server\""},
      {"\"groups\"", "\"of_a_newer_server\""}};
  for (const auto& [from, to] : cases)
    EXPECT_THAT(ProblemsAfter(from, to), ElementsAre(HasSubstr("targets_m.json cannot be used")))
        << from << to;
  std::filesystem::remove_all(path_);
  SetUp();
  std::filesystem::remove(path_ + "/targets_m_sink.npy");
  EXPECT_THAT(ReadRun(path_)->problems, ElementsAre("targets_m_sink.npy is missing"));
}

}  // namespace
}  // namespace induct::client
