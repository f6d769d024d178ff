// induct-client as a user sees it: exit codes, output, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "common/settings.h"
#include "nlohmann/json.hpp"
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

std::vector<std::string> ProfileArguments(const FakeServer& server,
                                          const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"profile", "--model", "org/tiny", "--server", server.address()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

bool HasGnuplot() { return access("/usr/bin/gnuplot", X_OK) == 0; }

TEST(ProgramTest, ProfileLeavesEveryFileAndAMetadataThatSaysSucceeded) {
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

  ASSERT_THAT(server.record().submitted, SizeIs(1));
  const v1::RunProfileRequest request = server.record().submitted[0];
  EXPECT_EQ(request.run().seq_len(), 64u);
  EXPECT_FALSE(request.run().has_seed());
  EXPECT_THAT(request.job().request_id(), SizeIs(36));
  EXPECT_EQ(server.record().user, "tester");
}

TEST(ProgramTest, FiguresAreDrawnKeptWithTheirScriptsAndCopied) {
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

TEST(ProgramTest, WithoutGnuplotEverythingElseIsSavedAndOneLineSaysWhatToInstall) {
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

TEST(ProgramTest, NoFiguresDrawsNoneAndWarnsOfNothing) {
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

std::string StateOf(const std::string& run) {
  return json::parse(FileBytes(run + "/metadata.json"))["state"];
}

TEST(ProgramTest, JsonIsAllThatStandardOutputHoldsAndQuietSaysNothing) {
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

TEST(ProgramTest, BesideJsonStandardErrorTellsWarningsAndTheRunsFolder) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server, {"--json"}), folder.path());
  EXPECT_TRUE(json::accept(result.out)) << result.out;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("warning: lag 2 is below min_lag"), HasSubstr("saved in outputs/runs/")));
}

TEST(ProgramTest, StandardOutputThatCannotBeWrittenIs4HoweverLongTheResult) {
  const TemporaryFolder folder;
  for (const int n_layers : {1, 300}) {  // below and far above the buffer of standard output
    const FakeServer server(SuccessfulScript("org/tiny", n_layers, 1));
    std::vector<std::string> arguments = {"-c", "exec \"$0\" \"$@\" > /dev/full", ClientProgram()};
    const std::vector<std::string> profile = ProfileArguments(server, {"--json"});
    arguments.insert(arguments.end(), profile.begin(), profile.end());
    const ClientResult result = RunClient(arguments, folder.path(), {}, "/bin/sh");
    EXPECT_EQ(result.exit_code, 4) << n_layers;
    EXPECT_THAT(result.err, HasSubstr("standard output"));
  }
}

TEST(ProgramTest, TheSummaryNamesNumbersAsTheJsonDoesAndCountsOneAsOne) {
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

TEST(ProgramTest, LinesWithoutControlSequencesTellHowItGoesWhereThereIsNoTerminal) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path(), {{"TERM", "xterm"}});
  EXPECT_THAT(result.err, AllOf(HasSubstr("waiting: 2 jobs ahead"), HasSubstr("loading org/tiny"),
                                HasSubstr("layer 2 done (3 of 4)"), HasSubstr("] best head L2H0 0.850")));
  EXPECT_THAT(result.err, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
}

TEST(ProgramTest, AJobThatFailsKeepsItsFilesAndExitsWith1) {
  Script script = SuccessfulScript("org/tiny");
  script.log.back().clear_event();
  script.log.back().mutable_failed()->set_code(9);
  script.log.back().mutable_failed()->set_message("non-finite scores\x1b[2J");
  const FakeServer server(script);
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("non-finite scores\\x1b[2J"));
  const std::string run = RunDirectories(folder.path()).at(0);
  EXPECT_EQ(StateOf(run), "failed");
  EXPECT_EQ(access((run + "/prompts.txt").c_str(), F_OK), 0);
}

TEST(ProgramTest, AJobThatAnotherCancelsExitsWith1AndSaysSo) {
  Script script = SuccessfulScript("org/tiny");
  script.log.back().clear_event();
  script.log.back().mutable_cancelled();
  const FakeServer server(script);
  const TemporaryFolder folder;
  EXPECT_EQ(RunClient(ProfileArguments(server), folder.path()).exit_code, 1);
  EXPECT_EQ(StateOf(RunDirectories(folder.path()).at(0)), "cancelled");
}

TEST(ProgramTest, BusyIs5WhetherRefusedOrDrained) {
  Script refused;
  refused.plays = {
      {.end_index = 0,
       .status = ServerError(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full", "QUEUE_FULL")}};
  Script drained = SuccessfulScript("org/tiny");
  drained.log.resize(2);
  drained.log[1].clear_event();
  drained.log[1].set_sequence(2);
  drained.log[1].mutable_failed()->set_code(grpc::StatusCode::UNAVAILABLE);
  for (const Script& script : {refused, drained}) {
    const FakeServer server(script);
    const TemporaryFolder folder;
    EXPECT_EQ(RunClient(ProfileArguments(server), folder.path()).exit_code, 5);
  }
}

TEST(ProgramTest, ALaterAttemptReplacesWhatTheEarlierOneGave) {
  Script script = SuccessfulScript("org/tiny");
  std::vector<v1::JobEvent> first(script.log.begin(), script.log.end() - 1);
  for (v1::JobEvent& event : first) {
    if (event.has_artifact())
      *event.mutable_artifact() = ArtifactEvent("prompts.txt", "of the first attempt").artifact();
  }
  script.checks_sha256 =
      true;  // what the first attempt announced is no longer there when the stream is played
  std::vector<v1::JobEvent> log = first;
  log.insert(log.end(), script.log.begin() + 3, script.log.end());
  Renumber(&log);
  for (size_t i = first.size(); i < log.size(); ++i) log[i].set_attempt(2);
  script.log = log;
  const FakeServer server(script);
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("attempt 2"));
  EXPECT_THAT(FileBytes(RunDirectories(folder.path()).at(0) + "/prompts.txt"), SizeIs(5001));
}

TEST(ProgramTest, AServerThatIsNotThereIs3AndLeavesNoRun) {
  const TemporaryFolder folder;
  const ClientResult result =
      RunClient({"profile", "--model", "m", "--server", "127.0.0.1:1"}, folder.path());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err,
            "induct-client: cannot reach 127.0.0.1:1: Connection refused; is induct-server running there? "
            "(--server, INDUCT_SERVER)\n");
  EXPECT_THAT(RunDirectories(folder.path()), IsEmpty());
}

TEST(ProgramTest, AnUnwritableFolderIs4BeforeAnythingIsAsked) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "file", "").ok());
  const ClientResult result = RunClient(ProfileArguments(server, {"--output_dir", "file"}), folder.path());
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("file/runs"));
  EXPECT_THAT(server.record().submitted, IsEmpty());
}

TEST(ProgramTest, AFullDiskIs4LeavesNoHalfFileAndCancelsTheJob) {
  const TemporaryFolder folder;
  const std::string disk = folder / "outputs";
  mkdir(disk.c_str(), 0777);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "a small tmpfs can't be mounted here";
  Script script = SuccessfulScript("org/tiny");
  ReplaceArtifact("prompts.txt", std::string(200'000, 'x'), &script);
  const FakeServer server(script);
  const ClientResult result = RunClient(ProfileArguments(server), folder.path());
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, AllOf(HasSubstr("prompts.txt"), HasSubstr("No space left")));
  EXPECT_THAT(server.record().cancelled, SizeIs(1));
  const std::string run = RunDirectories(folder.path()).at(0);
  EXPECT_EQ(StateOf(run), "failed");
  const std::string error = json::parse(FileBytes(run + "/metadata.json"))["error"];
  EXPECT_THAT(error, AllOf(HasSubstr("prompts.txt"), Not(HasSubstr("outputs/runs"))));
  for (const auto& entry : std::filesystem::directory_iterator(run)) {
    EXPECT_THAT(entry.path().filename().string(),
                testing::AnyOf("metadata.json", "config.yaml", "profile_org_tiny.json"));
  }
  umount(disk.c_str());
}

TEST(ProgramTest, InterruptsCancelTheJobAndExitWith130) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Script script = SuccessfulScript("org/tiny");
    script.plays = {{.end_index = 5, .wait_for_cancel = true}};
    FakeServer server(script);
    const TemporaryFolder folder;
    RunningClient client(ProfileArguments(server), folder.path());
    server.AwaitWaiting();
    client.Signal(signal);
    const ClientResult result = client.Wait();
    EXPECT_EQ(result.exit_code, 130);
    EXPECT_THAT(result.err,
                HasSubstr("interrupted: job cancelled; what there is so far is in outputs/runs/"));
    EXPECT_EQ(server.record().cancelled, std::vector<std::string>{kFakeJob});
    EXPECT_EQ(StateOf(RunDirectories(folder.path()).at(0)), "cancelled");
  }
}

TEST(ProgramTest, WhatReadsAnInterruptedRunNamesItsFolderOnce) {
  Script script = SuccessfulScript("org/tiny");
  script.plays = {{.end_index = 5, .wait_for_cancel = true}};
  FakeServer server(script);
  const TemporaryFolder folder;
  RunningClient client(ProfileArguments(server), folder.path());
  server.AwaitWaiting();
  client.Signal(SIGINT);
  client.Wait();
  const std::string run = RunDirectories(folder.path()).at(0);
  const ClientResult figures = RunClient({"figures", run}, folder.path());
  EXPECT_THAT(figures.err, testing::StartsWith("induct-client: " + run + " holds nothing to draw: the run"));
  EXPECT_EQ(figures.err.find("outputs/runs"), figures.err.rfind("outputs/runs"));
}

TEST(ProgramTest, WrongUsageIs2AndNamesTheNearest) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "p.txt", "a\n").ok());
  for (const char* name : {"d.txt", "d.npy", "d.yaml"}) mkdir((folder / name).c_str(), 0777);
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "no command"},
      {{"profil"}, "did you mean profile?"},
      {{"profile", "--seqlen", "8"}, "did you mean --seq_len?"},
      {{"profile"}, "no model"},
      {{"profile", "--model", "m", "--high-score-quantile", "1"}, "--high_score_quantile: \"1\" given"},
      {{"profile", "--model", "m", "--server", "a b"}, "is no address"},
      {{"profile", "--model", "m", "--prompts", "p.txt", "--tokens", "t.npy"}, "--tokens"},
      {{"profile", "--model", "m", "--prompts", "none.txt"}, "none.txt"},
      {{"profile", "--model", "m", "--prompts", "d.txt"}, "cannot read d.txt"},
      {{"profile", "--model", "m", "--prompts", "p.csv"}, "p.csv: prompts come from a .txt"},
      {{"profile", "--model", "m", "--tokens", "d.npy"}, "cannot read d.npy"},
      {{"profile", "--model", "m", "--settings", "none.yaml"}, "none.yaml"},
      {{"profile", "--model", "m", "--settings", "d.yaml"}, "cannot read d.yaml"},
      {{"jobs", "--settings", "d.yaml"}, "cannot read d.yaml"},
      {{"profile", "--model", "m", "--memory_saver", "yes"}, "\"yes\" given, true or false needed"},
      {{"crosssize", "--models", "a", "b", "--labels", "one"}, "--labels: 1 given for 2 models"},
      {{"crosssize", "--models", "a", "b", "--labels", "A", "A"}, "--labels: \"A\" is given twice"},
      {{"causal", "--model", "m", "--heads", "3"}, "--heads: \"3\" is no head"},
      {{"causal", "--model", "m", "--heads", "1.2", "--topk", "2"}, "--heads"},
      {{"causal", "--model", "m", "--topk", "0"}, "--causal_top_k"},
      {{"causal", "--model", "m", "--control_prompts", "none.txt"}, "none.txt"},
      {{"pattern", "--model", "m"}, "--head"},
      {{"pattern", "--model", "m", "--head", "-1.2"}, "is no head"},
      {{"lagbuckets", "--model", "m", "--shuffle_null"}, "--shuffle_null"},
      {{"run"}, "--plan"},
      {{"run", "--plan", "none.yaml"}, "none.yaml"},
      {{"jobs"}, "needs a server"},
      {{"profiles", "none"}, "there is no folder none"},
      {{"profiles", "p.txt"}, "p.txt is no folder"},
      {{"profiles", "--json", "--csv"}, "--csv"},
      {{"figures"}, "run_dir"},
      {{"cancel"}, "name"},
      {{"cancel", "x"}, "needs a server"},
      {{"jobs", "--limit", "0", "--server", "x"}, "--limit"},
  };
  for (const auto& [arguments, message] : cases) {
    const ClientResult result = RunClient(arguments, folder.path());
    EXPECT_EQ(result.exit_code, 2) << message;
    EXPECT_THAT(result.err, HasSubstr(message));
  }
}

TEST(ProgramTest, HelpNamesEveryRequestSettingAndExitsWith0) {
  const TemporaryFolder folder;
  const ClientResult result = RunClient({"profile", "--help"}, folder.path());
  EXPECT_EQ(result.exit_code, 0);
  const std::map<std::string, std::string> of_others = {
      {"evaluation.shuffle_null", "nulls"},   {"evaluation.head_permutation_null", "nulls"},
      {"evaluation.null_resamples", "nulls"}, {"evaluation.permutation_resamples", "nulls"},
      {"evaluation.causal_top_k", "causal"},  {"evaluation.causal_random_k", "causal"},
      {"evaluation.random_draws", "causal"},  {"evaluation.ablation", "causal"},
      {"evaluation.lag_edges", "lagbuckets"}};
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    const std::string flag = "--" + SettingFlag(key);
    const auto other = of_others.find(std::string(key.path));
    if (other == of_others.end()) {
      EXPECT_THAT(result.out, HasSubstr(flag));
    } else {
      EXPECT_THAT(result.out, Not(HasSubstr(flag))) << "a flag that has no effect on a profile";
      EXPECT_THAT(RunClient({other->second, "--help"}, folder.path()).out, HasSubstr(flag));
    }
  }
  EXPECT_THAT(RunClient({"--version"}, folder.path()).out,
              testing::MatchesRegex("(induct-client )?[0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(ProgramTest, AFlagBeatsTheEnvironmentWhichBeatsTheFile) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const std::string file = "models: [{id: from-file}]\nseed: 1\nmin_lag: 1\nscore: previous\nserver: \"" +
                           server.address() + "\"\nprompts:\n  n_sequences: 7\n";
  ASSERT_TRUE(WriteFileAtomically(folder / "s.yaml", file).ok());
  const ClientResult result = RunClient({"profile", "--settings", "s.yaml", "--seed", "3"}, folder.path(),
                                        {{"INDUCT_SEED", "2"}, {"INDUCT_MIN_LAG", "2"}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const v1::RunProfileRequest request = server.record().submitted.at(0);
  EXPECT_EQ(request.model(), "from-file");
  EXPECT_EQ(request.run().seed(), 3u);
  EXPECT_EQ(request.run().min_lag(), 2u);
  EXPECT_EQ(request.run().score(), "previous");
  EXPECT_EQ(request.prompts().n_sequences(), 7u);
  EXPECT_FALSE(request.run().has_antecedents());
}

TEST(ProgramTest, AVariableThatIsAlmostASettingsIsToldUnlessQuiet) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const std::map<std::string, std::string> environment = {
      {"INDUCT_SEDE", "1"},       {"INDUCT_SEED", "2"},        {"INDUCT_TEST_BIN", "x"},
      {"INDUCT_TORCH", "x"},      {"INDUCT_TORCH_INDEX", "x"}, {"INDUCT_NPM_REGISTRY", "x"},
      {"INDUCT_TOKENIZERS", "x"}, {"INDUCT_VEGA_DIR", "x"}};
  const std::string told =
      "induct-client: environment variable INDUCT_SEDE sets nothing; did you mean INDUCT_SEED?\n";
  EXPECT_EQ(RunClient({"models", "--server", server.address()}, folder.path(), environment).err, told);
  EXPECT_THAT(RunClient(ProfileArguments(server), folder.path(), environment).err, HasSubstr(told));
  EXPECT_EQ(RunClient(ProfileArguments(server, {"--quiet"}), folder.path(), environment).err, "");
}

TEST(ProgramTest, TheUsersOwnFileIsReadWhereNoneIsGiven) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / ".config/induct");
  ASSERT_TRUE(WriteFileAtomically(folder / ".config/induct/client.yaml",
                                  "server: \"" + server.address() + "\"\nseed: 9\n")
                  .ok());
  ASSERT_EQ(RunClient({"profile", "--model", "m"}, folder.path()).exit_code, 0);
  EXPECT_EQ(server.record().submitted.at(0).run().seed(), 9u);
}

TEST(ProgramTest, GivenPromptsTravelWithTheRequest) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "p.jsonl", "{\"text\":\"a b\"}\n{\"token_ids\":[1,2]}\n").ok());
  const ClientResult result = RunClient(ProfileArguments(server, {"--prompts", "p.jsonl"}), folder.path());
  ASSERT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, Not(HasSubstr("without effect")));
  ASSERT_EQ(server.record().submitted.at(0).given_prompts_size(), 2);
  EXPECT_EQ(server.record().submitted[0].given_prompts(1).token_ids(1), 2u);

  const std::string config = RunDirectories(folder.path()).at(0) + "/config.yaml";
  EXPECT_THAT(FileBytes(config),
              testing::MatchesRegex(
                  "# To repeat the run from another folder, RUN being this one: induct-client profile "
                  "--settings RUN/config.yaml --prompts RUN/prompts_org_tiny.jsonl\n"
                  "models: .*"));
  EXPECT_TRUE(LoadSettings(config).ok());
}

TEST(ProgramTest, LabelsAreRepeatedAsAShellReadsThemOnOneLine) {
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

TEST(ProgramTest, FlagsThatChooseGeneratedPromptsAreNamedWherePromptsAreGiven) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "p.txt", "a b\n").ok());
  ASSERT_TRUE(WriteFileAtomically(folder / "s.yaml", "prompts:\n  n_sequences: 7\n").ok());
  const std::vector<std::string> given = {"--prompts", "p.txt", "--settings", "s.yaml"};
  EXPECT_THAT(RunClient(ProfileArguments(server, given), folder.path()).err,
              Not(HasSubstr("without effect")));
  std::vector<std::string> flags = given;
  flags.insert(flags.end(), {"--lag-values", "4", "--mix=uniform", "--prepend_bos", "false"});
  EXPECT_THAT(RunClient(ProfileArguments(server, flags), folder.path()).err,
              HasSubstr("without effect on given prompts: --lag_values, --mix\n"));
}

TEST(ProgramTest, EachCommandMakesItsRequest) {
  const FakeServer server(SuccessfulScript("m"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "c.txt", "some text\nmore\n").ok());
  const auto request_of = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server.address(), "--no_report", "--quiet"});
    RunClient(arguments, folder.path());
    return server.record().requests.back();
  };
  const auto cross_size = std::get<v1::CrossSizeRequest>(request_of({"crosssize", "--models", "a", "b"}));
  EXPECT_THAT(cross_size.models(), testing::ElementsAre("a", "b"));
  EXPECT_EQ(cross_size.profile().model(), "");
  EXPECT_TRUE(
      std::holds_alternative<v1::CrossSizeRequest>(request_of({"multisize", "--models", "a", "b", "c"})));
  const auto nulls = std::get<v1::NullsRequest>(
      request_of({"nulls", "--model", "m", "--null_resamples", "99", "--shuffle_null", "false"}));
  EXPECT_EQ(nulls.profile().evaluation().null_resamples(), 99u);
  EXPECT_FALSE(nulls.profile().evaluation().shuffle_null());
  const auto causal = std::get<v1::CausalRequest>(
      request_of({"causal", "--model", "m", "--topk", "2", "--randomk", "4", "--draws", "7", "--ablation",
                  "mean", "--control_prompts", "c.txt"}));
  EXPECT_EQ(causal.profile().evaluation().causal_top_k(), 2u);
  EXPECT_EQ(causal.profile().evaluation().causal_random_k(), 4u);
  EXPECT_EQ(causal.profile().evaluation().random_draws(), 7u);
  EXPECT_EQ(causal.profile().evaluation().ablation(), "mean");
  EXPECT_EQ(causal.control_prompts_size(), 2);
  const auto heads =
      std::get<v1::CausalRequest>(request_of({"causal", "--model", "m", "--heads", "1.2,0.3"})).heads();
  ASSERT_EQ(heads.size(), 2);
  EXPECT_EQ(heads[0].layer(), 1u);
  EXPECT_EQ(heads[0].head(), 2u);
  const auto lags =
      std::get<v1::LagBucketsRequest>(request_of({"lagbuckets", "--model", "m", "--edges", "8,16"}));
  EXPECT_THAT(lags.profile().evaluation().lag_edges(), testing::ElementsAre(8, 16));
  const auto pattern =
      std::get<v1::PatternRequest>(request_of({"pattern", "--model", "m", "--head", "3.1", "--prompt", "5"}));
  EXPECT_EQ(pattern.head().layer(), 3u);
  EXPECT_EQ(pattern.head().head(), 1u);
  EXPECT_EQ(pattern.prompt(), 5u);
}

TEST(ProgramTest, RandomSetsAreAsLargeAsTheAblatedOneUnlessTheUserSaysHowLarge) {
  const FakeServer server(SuccessfulScript("m"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "top.yaml", "evaluation:\n  causal_top_k: 5\n").ok());
  ASSERT_TRUE(WriteFileAtomically(folder / "random.yaml", "evaluation:\n  causal_random_k: 7\n").ok());
  const auto random_k = [&](const std::vector<std::string>& flags,
                            const std::map<std::string, std::string>& environment = {}) {
    std::vector<std::string> arguments = {"causal", "--model", "m", "--server", server.address(), "--quiet"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    RunClient(arguments, folder.path(), environment);
    const auto request = std::get<v1::CausalRequest>(server.record().requests.back());
    return request.profile().evaluation().causal_random_k();
  };
  EXPECT_EQ(random_k({}), 0u) << "the server's default";
  EXPECT_EQ(random_k({"--topk", "2"}), 2u);
  EXPECT_EQ(random_k({"--heads", "1.2,0.3,0.1,0.2"}), 4u);
  EXPECT_EQ(random_k({"--heads", "1.2", "--settings", "top.yaml"}), 1u);
  EXPECT_EQ(random_k({"--settings", "top.yaml"}), 5u);
  EXPECT_EQ(random_k({}, {{"INDUCT_EVALUATION_CAUSAL_TOP_K", "6"}}), 6u);
  EXPECT_EQ(random_k({"--topk", "2", "--randomk", "4"}), 4u);
  EXPECT_EQ(random_k({"--heads", "1.2", "--settings", "random.yaml"}), 7u);
}

TEST(ProgramTest, PrintPromptsPrintsThemEscapedAndRunsNoJob) {
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
  EXPECT_THAT(server.record().submitted, IsEmpty());
  EXPECT_NE(access((folder / "outputs").c_str(), F_OK), 0);
}

TEST(ProgramTest, JobsAreListedAndCancelTakesTheBareName) {
  Script script;
  for (int i = 0; i < 5; ++i) {
    v1::Job& job = script.jobs.emplace_back();
    job.set_name("jobs/J" + std::to_string(i));
    job.set_state(i == 0 ? "failed" : "queued");
    if (i == 0) job.mutable_error()->set_code(3);
    if (i == 0) job.mutable_error()->set_message("no copy operation");
  }
  const FakeServer server(script);
  const TemporaryFolder folder;
  const std::map<std::string, std::string> environment = {{"INDUCT_SERVER", server.address()}};
  EXPECT_THAT(RunClient({"jobs"}, folder.path(), environment).out,
              AllOf(HasSubstr("J4"), HasSubstr("no copy operation")));
  EXPECT_THAT(
      json::parse(RunClient({"jobs", "--json", "--limit", "3"}, folder.path(), environment).out)["jobs"],
      SizeIs(3));

  const ClientResult cancelled =
      RunClient({"cancel", std::string(kFakeJob).substr(5)}, folder.path(), environment);
  EXPECT_EQ(cancelled.exit_code, 0);
  EXPECT_EQ(cancelled.out, std::string(kFakeJob) + ": cancelled\n");
  EXPECT_EQ(RunClient({"cancel", "jobs/NONE"}, folder.path(), environment).exit_code, 2);
}

// The client looks for induct-server beside itself: here a copy of it stands beside a script of the test's.
class OwnServerTest : public testing::Test {
 protected:
  ClientResult RunBeside(const std::string& server_script) {
    std::filesystem::copy_file(ClientProgram(), folder_ / "induct-client",
                               std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(WriteFileAtomically(folder_ / "induct-server", server_script).ok());
    chmod((folder_ / "induct-server").c_str(), 0755);
    return RunClient({"profile", "--model", "m", "--settings", "s.yaml"}, folder_.path(), {},
                     folder_ / "induct-client");
  }
  TemporaryFolder folder_;
};

TEST_F(OwnServerTest, OneThatDoesNotStartIs3WithItsLastLogLines) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "s.yaml", "seed: 1\n").ok());
  const ClientResult result =
      RunBeside("#!/bin/sh\necho \"started with $*\" >&2\necho 'device cuda: there is none' >&2\nexit 1\n");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, AllOf(HasSubstr("started with --listen fd:3 --settings s.yaml"),
                                HasSubstr("device cuda: there is none")));
}

TEST_F(OwnServerTest, ItGetsItsSocketAndNoOtherOpenFile) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "s.yaml", "seed: 1\n").ok());
  const ClientResult result = RunBeside("#!/bin/sh\nls -l /proc/$$/fd >&2\n");
  EXPECT_THAT(result.err,
              AllOf(HasSubstr(" 0 -> /dev/null"), HasSubstr(" 3 -> socket:"), Not(HasSubstr(" 4 -> "))));
}

}  // namespace
}  // namespace induct::client
