// How induct-client fails: exit codes, what is said, what stays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "nlohmann/json.hpp"
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

std::string StateOf(const std::string& run) {
  return json::parse(FileBytes(run + "/metadata.json"))["state"];
}

TEST(RunFailureTest, StandardOutputThatCannotBeWrittenIs4HoweverLongTheResult) {
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

TEST(RunFailureTest, AJobThatFailsKeepsItsFilesAndExitsWith1) {
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

TEST(RunFailureTest, APromptAtFaultIsNamedByItsFileAndLine) {
  Script script = SuccessfulScript("org/tiny");
  const grpc::Status fault = ServerError(grpc::StatusCode::INVALID_ARGUMENT, "prompt 1: no",
                                         "TOKEN_OUTSIDE_VOCABULARY", "given_prompts[1].token_ids[0]");
  script.log.back().clear_event();
  ASSERT_TRUE(script.log.back().mutable_failed()->ParseFromString(fault.error_details()));
  script.preview_status = fault;
  const FakeServer server(script);
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "p.txt", "\na b a b\n\nb a b a\n").ok());
  const std::string told = "induct-client: p.txt:4: prompt 1: no\n";
  const ClientResult failed = RunClient(ProfileArguments(server, {"--prompts", "p.txt"}), folder.path());
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_THAT(failed.err, HasSubstr(told));
  const std::vector<std::string> preview = {"--prompts", "p.txt", "--print_prompts"};
  EXPECT_EQ(RunClient(ProfileArguments(server, preview), folder.path()).err, told);
  // Of the control prompts it is their file.
  script.log.back().mutable_failed()->Clear();
  const grpc::Status of_controls =
      ServerError(grpc::StatusCode::INVALID_ARGUMENT, "prompt 0: no", "INVALID_FIELD", "control_prompts[0]");
  ASSERT_TRUE(script.log.back().mutable_failed()->ParseFromString(of_controls.error_details()));
  const FakeServer of_causal(script);
  EXPECT_THAT(RunClient({"causal", "--model", "org/tiny", "--control_prompts", "p.txt", "--server",
                         of_causal.address(), "--no_report"},
                        folder.path())
                  .err,
              HasSubstr("p.txt:2: prompt 0: no\n"));
}

TEST(RunFailureTest, AJobThatAnotherCancelsExitsWith6AndSaysSo) {
  Script script = SuccessfulScript("org/tiny");
  script.log.back().clear_event();
  script.log.back().mutable_cancelled();
  const FakeServer server(script);
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path());
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_THAT(result.err, HasSubstr("the job was cancelled by somebody else"));
  EXPECT_EQ(StateOf(RunDirectories(folder.path()).at(0)), "cancelled");
}

TEST(RunFailureTest, BusyIs5WhetherRefusedOrDrained) {
  Script refused;
  refused.creations = {ServerError(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full", "QUEUE_FULL")};
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

TEST(RunFailureTest, ALaterAttemptReplacesWhatTheEarlierOneGave) {
  Script script = SuccessfulScript("org/tiny");
  std::vector<v1::JobEvent> first(script.log.begin(), script.log.end() - 1);
  for (v1::JobEvent& event : first) {
    if (event.has_artifact())
      *event.mutable_artifact() = ArtifactEvent("prompts.txt", "of the first attempt").artifact();
  }
  script.checks_sha256 =
      true;  // what the first attempt announced is no longer there when the stream is played
  std::vector<v1::JobEvent> log = first;
  log.emplace_back().mutable_requeued()->set_cause("the server was restarted\x1b");
  first.push_back(log.back());
  log.insert(log.end(), script.log.begin() + 3, script.log.end());
  Renumber(&log);
  for (size_t i = first.size(); i < log.size(); ++i) log[i].set_attempt(2);
  script.log = log;
  const FakeServer server(script);
  const TemporaryFolder folder;
  const ClientResult result = RunClient(ProfileArguments(server), folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("attempt 1 ended without a result: the server was restarted\\x1b\n"
                                    "the server started the job anew (attempt 2)\n"));
  EXPECT_THAT(FileBytes(RunDirectories(folder.path()).at(0) + "/prompts.txt"), SizeIs(5001));
}

TEST(RunFailureTest, AServerThatIsNotThereIs3AndLeavesNoRun) {
  const TemporaryFolder folder;
  const ClientResult result =
      RunClient({"profile", "--model", "m", "--server", "127.0.0.1:1"}, folder.path());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err,
            "induct-client: cannot reach 127.0.0.1:1: Connection refused; is induct-server running there? "
            "(--server, INDUCT_SERVER)\n");
  EXPECT_THAT(RunDirectories(folder.path()), IsEmpty());
}

TEST(RunFailureTest, AnUnwritableFolderIs4BeforeAnythingIsAsked) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "file", "").ok());
  const ClientResult result = RunClient(ProfileArguments(server, {"--output_dir", "file"}), folder.path());
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("file/runs"));
  EXPECT_THAT(server.record().created, IsEmpty());
}

TEST(RunFailureTest, AFullDiskIs4LeavesNoHalfFileAndCancelsTheJob) {
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

// A job that goes on until it is cancelled.
Script EndlessScript() {
  Script script = SuccessfulScript("org/tiny");
  script.plays = {{.end_index = 5, .wait_for_cancel = true}};
  return script;
}

ClientResult InterruptedRun(FakeServer& server, const TemporaryFolder& folder, int signal) {
  RunningClient client(ProfileArguments(server), folder.path());
  server.AwaitWaiting();
  client.Signal(signal);
  return client.Wait();
}

TEST(RunFailureTest, InterruptsCancelTheJobAndExitWith130) {
  for (const int signal : {SIGINT, SIGTERM}) {
    FakeServer server(EndlessScript());
    const TemporaryFolder folder;
    const ClientResult result = InterruptedRun(server, folder, signal);
    EXPECT_EQ(result.exit_code, 130);
    EXPECT_THAT(result.err,
                HasSubstr("interrupted: job cancelled; what there is so far is in outputs/runs/"));
    EXPECT_EQ(server.record().cancelled, std::vector<std::string>{kFakeJob});
    EXPECT_EQ(StateOf(RunDirectories(folder.path()).at(0)), "cancelled");
  }
}

TEST(RunFailureTest, WhatReadsAnInterruptedRunNamesItsFolderOnce) {
  FakeServer server(EndlessScript());
  const TemporaryFolder folder;
  InterruptedRun(server, folder, SIGINT);
  const std::string run = RunDirectories(folder.path()).at(0);
  const ClientResult figures = RunClient({"figures", run}, folder.path());
  EXPECT_THAT(figures.err, testing::StartsWith("induct-client: " + run + " holds nothing to draw: the run"));
  EXPECT_EQ(figures.err.find("outputs/runs"), figures.err.rfind("outputs/runs"));
}

TEST(RunFailureTest, WrongUsageIs2AndNamesTheNearest) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "p.txt", "a\n").ok());
  for (const char* name : {"d.txt", "d.npy", "d.yaml"}) mkdir((folder / name).c_str(), 0777);
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "no command"},
      {{"profil"}, "did you mean profile?"},
      {{"profile", "--seqlen", "8"}, "did you mean --seq_len?"},
      {{"profile", "--model", "pythia-70m", "gpt2", "--quiet"},
       "--model takes one model, and gpt2 is left over; to compare models: crosssize --models pythia-70m "
       "gpt2"},
      {{"profile", "--model", "m", "seed", "5"}, "did you mean --seed?"},
      {{"profile", "gpt2"}, "there is no gpt2; see profile --help"},
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
      {{"pattern", "--model", "m", "--head", "1.2", "--head", "2.1"}, "--head"},
      {{"pattern", "--model", "m", "--head", "1.2", "--prompt", "-1"},
       "--prompt: \"-1\" is no prompt's number"},
      {{"lagbuckets", "--model", "m", "--shuffle_null"}, "--shuffle_null"},
      {{"run"}, "--plan"},
      {{"run", "--plan", "none.yaml"}, "none.yaml"},
      {{"jobs"}, "needs a server"},
      {{"profiles", "none"}, "there is no folder none"},
      {{"profiles", "p.txt"}, "p.txt is no folder"},
      {{"profiles", "--json", "--csv"}, "--csv"},
      {{"figures"}, "run_dir"},
      {{"jobs", "--state", "running,sleeping", "--server", "x"},
       "--state: \"sleeping\" is no state of a job: queued, fetching, preparing, ready, running, finishing, "
       "succeeded, failed, cancelled"},
      {{"jobs", "--state", "unspecified", "--server", "x"}, "is no state"},
      {{"jobs", "--kind", "multisize", "--server", "x"},
       "--kind: \"multisize\" is no kind of job: profile, crosssize, nulls, causal, lagbuckets, pattern"},
      {{"jobs", "--owner", "\xff", "--server", "x"}, "no valid UTF-8"},
      {{"fetch"}, "name"},
      {{"fetch", "x"}, "needs a server"},
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
