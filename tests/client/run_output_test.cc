// What a run of induct-client leaves and prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "common/settings.h"
#include "nlohmann/json.hpp"
#include "proto/job_specs.h"
#include "proto/message_json.h"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

bool HasGnuplot() { return access("/usr/bin/gnuplot", X_OK) == 0; }

TEST(RunOutputTest, ProfileLeavesEveryFileAndAMetadataThatSaysSucceeded) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server, {"--seq_len", "64"}), folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("org/tiny"), HasSubstr("layer 2"), HasSubstr("lag 2 is below min_lag")));

  const auto runs = RunDirectories(folder.path());
  ASSERT_THAT(runs, SizeIs(1));
  EXPECT_THAT(runs[0], testing::ContainsRegex("/[0-9]{8}-[0-9]{6}-profile-org_tiny$"));
  EXPECT_EQ(FileBytes(runs[0] + "/scores_org_tiny.npy"), MakeScores(MakeProfile("org_tiny", 4, 4, true)));
  EXPECT_THAT(FileBytes(runs[0] + "/prompts.txt"), SizeIs(5001));
  const json metadata = json::parse(FileBytes(runs[0] + "/metadata.json"));
  EXPECT_EQ(metadata["state"], "succeeded");
  EXPECT_EQ(metadata["command"], "profile");
  EXPECT_EQ(metadata["seed"], "18446744073709551615");
  EXPECT_EQ(metadata["server"]["version"], "9.9.9");
  EXPECT_EQ(metadata["models"][0]["source"], "org/tiny");
  EXPECT_EQ(metadata["warnings"][0], "lag 2 is below min_lag");
  EXPECT_EQ(metadata["error"], "");

  const auto config = LoadSettings(runs[0] + "/config.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->Texts("models"), std::vector<std::string>{"org/tiny"});
  EXPECT_EQ(config->Integers("prompts.lag_values"), std::vector<uint64_t>{8});

  ASSERT_THAT(server.record().created, SizeIs(1));
  const v1::JobSpec spec = server.record().created[0];
  EXPECT_EQ(spec.profile().run().seq_len(), 64u);
  EXPECT_FALSE(spec.profile().run().has_seed());
  EXPECT_THAT(spec.options().request_id(), SizeIs(36));
  EXPECT_EQ(metadata["request_sha256"], SpecSha256(spec));
  EXPECT_EQ(server.record().user, "tester");
}

TEST(RunOutputTest, FiguresAreDrawnKeptWithTheirScriptsAndCopied) {
  if (!HasGnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  const FakeServer server(SuccessfulScript("tiny"));
  const TemporaryFolder folder;
  ASSERT_EQ(RunClient(ProfileArguments(server), folder.path()).exit_code, 0);
  const std::string run = RunDirectories(folder.path()).at(0);
  for (const char* name : {"heatmap_tiny", "profile_tiny"}) {
    const std::string png = FileBytes(run + "/figs/" + name + ".png");
    EXPECT_THAT(png, testing::StartsWith("\x89PNG")) << name;
    EXPECT_EQ(FileBytes(folder / "figs/" + name + ".png"), png);
    EXPECT_THAT(FileBytes(run + "/figs/" + name + ".svg"), HasSubstr("</svg>"));
    EXPECT_THAT(FileBytes(run + "/figs/" + name + ".csv"), HasSubstr("layer,"));
    EXPECT_THAT(FileBytes(run + "/figs/" + name + ".gp"), HasSubstr("plot"));
  }
  EXPECT_THAT(FileBytes(run + "/report.md"), HasSubstr("tiny"));
  EXPECT_THAT(FileBytes(run + "/report.html"), HasSubstr("Content-Security-Policy"));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(run + "/figs")) ++files;
  EXPECT_EQ(files, 8u) << "nothing temporary stays";
}

TEST(RunOutputTest, WithoutGnuplotEverythingElseIsSavedAndOneLineSaysWhatToInstall) {
  const FakeServer server(SuccessfulScript("tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path(), {{"PATH", folder.path()}});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("install gnuplot (Debian: gnuplot-nox)"));
  EXPECT_THAT(result.out, AllOf(HasSubstr("saved in"), Not(HasSubstr("figures in"))));
  const json metadata = json::parse(FileBytes(RunDirectories(folder.path()).at(0) + "/metadata.json"));
  EXPECT_EQ(metadata["state"], "succeeded");
  EXPECT_EQ(metadata["warnings"],
            json({"lag 2 is below min_lag", "no figures: install gnuplot (Debian: gnuplot-nox)"}));
}

TEST(RunOutputTest, NoFiguresDrawsNoneAndWarnsOfNothing) {
  const FakeServer server(SuccessfulScript("tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server, {"--no_figures"}), folder.path());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("saved in"), Not(HasSubstr("figures in"))));
  const std::string run = RunDirectories(folder.path()).at(0);
  EXPECT_FALSE(std::filesystem::exists(run + "/figs"));
  EXPECT_FALSE(std::filesystem::exists(folder / "figs"));
  EXPECT_TRUE(std::filesystem::exists(run + "/report.html"));
  EXPECT_EQ(json::parse(FileBytes(run + "/metadata.json"))["warnings"], json({"lag 2 is below min_lag"}));
}

TEST(RunOutputTest, JsonIsAllThatStandardOutputHoldsAndQuietSaysNothing) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server, {"--json", "--quiet"}), folder.path());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, IsEmpty());
  const json profile = json::parse(result.out);
  EXPECT_EQ(profile["model"], "org_tiny");
  EXPECT_EQ(profile["peak_layer"], 2);
  EXPECT_THAT(profile["per_layer"], SizeIs(4));
}

TEST(RunOutputTest, BesideJsonStandardErrorTellsWarningsAndTheRunsFolder) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server, {"--json"}), folder.path());
  EXPECT_TRUE(json::accept(result.out)) << result.out;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("warning: lag 2 is below min_lag"), HasSubstr("saved in outputs/runs/")));
}

TEST(RunOutputTest, TheSummaryNamesNumbersAsTheJsonDoesAndCountsOneAsOne) {
  Script script = SuccessfulScript("org/tiny");
  v1::Profile profile = MakeProfile("org_tiny", 4, 4, true);
  profile.set_n_prompts(1);
  profile.set_n_copy_ops(1);
  ReplaceArtifact("profile_org_tiny.json", *ToJson(profile), &script);
  const FakeServer server(script);
  const TemporaryFolder folder;
  EXPECT_THAT(RunClient(ProfileArguments(server), folder.path()).out,
              AllOf(HasSubstr("4 layers x 4 heads; 1 prompt, 1 copy operation, antecedents first"),
                    HasSubstr("\npeak layer                2 of 0 to 3\n"),
                    HasSubstr("\npeak depth                0.625 (95 % interval 0.480 to 0.560)\n"),
                    HasSubstr("\nbandwidth (interpolated)  0.310 of the depth (95 %")));
}

TEST(RunOutputTest, LinesWithoutControlSequencesTellHowItGoesWhereThereIsNoTerminal) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path(), {{"TERM", "xterm"}});
  EXPECT_THAT(result.err, AllOf(HasSubstr("waiting: 2 jobs ahead"), HasSubstr("loading org/tiny"),
                                HasSubstr("layer 2 done (3 of 4)"), HasSubstr("] best head L2H0 0.850")));
  EXPECT_THAT(result.err, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
}

TEST(RunOutputTest, LabelsAreRepeatedAsAShellReadsThemOnOneLine) {
  const FakeServer server(SuccessfulScript("m"));
  const TemporaryFolder folder;
  const std::vector<std::string> arguments = {"crosssize", "--models",       "a",          "b",
                                              "--server",  server.address(), "--no_report"};
  const auto config_with = [&](const std::vector<std::string>& labels) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), labels.begin(), labels.end());
    RunClient(all, folder.path(), {{"PATH", folder.path()}});
    return RunDirectories(folder.path()).back() + "/config.yaml";
  };
  const std::string config = config_with({"--labels", "it's $(x)", "a\nb: c"});
  EXPECT_THAT(FileBytes(config), HasSubstr("RUN/config.yaml --labels 'it'\\''s $(x)' 'a\\nb: c'\nmodels: "));
  EXPECT_TRUE(LoadSettings(config).ok());
  EXPECT_THAT(FileBytes(config_with({})), Not(HasSubstr("--labels")));
}

TEST(RunOutputTest, PrintPromptsPrintsThemEscapedAndRunsNoJob) {
  Script script;
  script.prompts.resize(2);
  script.prompts[0].set_task("ABAB");
  script.prompts[0].set_lag(4);
  script.prompts[0].set_text(" a\nb\x1b[2J");
  script.prompts[1].set_task("RANDOM");
  script.prompts[1].add_token_ids(5);
  script.prompts[1].add_token_ids(6);
  const FakeServer server(script);
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server, {"--print_prompts"}), folder.path());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "ABAB\t4\t a\\nb\\x1b[2J\nRANDOM\t0\t5 6\n");
  EXPECT_THAT(server.record().created, IsEmpty());
  EXPECT_NE(access((folder / "outputs").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace induct::client
