// induct-client fetch: a run directory made anew from the server alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <map>
#include <set>

#include "common/atomic_file.h"
#include "common/settings.h"
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

std::set<std::string> FileNames(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

json MetadataOf(const std::string& run) { return json::parse(FileBytes(run + "/metadata.json")); }

class FetchTest : public testing::Test {
 protected:
  ClientResult Fetch(const FakeServer& server, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"fetch", kFakeJob, "--server", server.address()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunClient(arguments, folder_.path(), {{"PATH", folder_.path()}});
  }
  // The run of these arguments, then the same fetched: their directories.
  std::pair<std::string, std::string> RunAndFetch(const FakeServer& server,
                                                  std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server.address(), "--output_dir", "made"});
    made_ = RunClient(arguments, folder_.path(), {{"PATH", folder_.path()}});
    EXPECT_EQ(made_.exit_code, 0) << made_.err;
    fetched_ = Fetch(server);
    EXPECT_EQ(fetched_.exit_code, 0) << fetched_.err;
    std::filesystem::rename(folder_ / "outputs", folder_ / "fetched");
    const auto only = [&](const std::string& name) {
      std::filesystem::create_directories(folder_ / "look");
      std::filesystem::rename(folder_ / name, folder_ / "look/outputs");
      const std::string run = std::filesystem::path(RunDirectories(folder_ / "look").at(0)).filename();
      std::filesystem::rename(folder_ / "look/outputs", folder_ / name);
      return folder_ / name + "/runs/" + run;
    };
    return {only("made"), only("fetched")};
  }
  TemporaryFolder folder_;
  ClientResult made_, fetched_;
};

TEST_F(FetchTest, LeavesTheSameFilesAsTheRun) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "p.txt", "a b a b\nb a b a\n").ok());
  ASSERT_TRUE(WriteFileAtomically(folder_ / "c.txt", "some text\n").ok());
  const std::vector<std::vector<std::string>> commands = {
      {"profile", "--model", "org/tiny", "--prompts", "p.txt", "--lag_values", "4"},
      {"multisize", "--models", "org/tiny", "b", "c", "--labels", "it's \"A\"", "B\n", "C"},
      {"causal", "--model", "org/tiny", "--heads", "1.2,0.3", "--control_prompts", "c.txt"},
      {"pattern", "--model", "org/tiny", "--head", "3.1", "--prompt", "2"}};
  for (const std::vector<std::string>& command : commands) {
    const FakeServer server(SuccessfulScript("org/tiny"));
    const auto [made, fetched] = RunAndFetch(server, command);
    EXPECT_EQ(FileNames(made), FileNames(fetched));
    for (const char* name : {"config.yaml", "profile_org_tiny.json", "scores_org_tiny.npy", "prompts.txt"})
      EXPECT_EQ(FileBytes(made + "/" + name), FileBytes(fetched + "/" + name)) << name;
    json expected = MetadataOf(made), metadata = MetadataOf(fetched);
    EXPECT_EQ(metadata["command"], command[0]);
    EXPECT_EQ(metadata["created"], "2023-11-14T22:13:20Z") << "when the job was made";
    EXPECT_EQ(metadata["state"], "succeeded");
    for (json* each : {&expected, &metadata}) each->erase("created");
    EXPECT_EQ(metadata, expected);
    EXPECT_THAT(fetched, HasSubstr("-" + command[0] + "-org_tiny"));
    EXPECT_THAT(FileNames(fetched), testing::IsSupersetOf({"report.html", "report.md"}));
    for (const char* folder : {"made", "fetched"}) std::filesystem::remove_all(folder_ / folder);
  }
}

TEST_F(FetchTest, PrintsWhatTheRunPrinted) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const auto [made, fetched] = RunAndFetch(server, {"profile", "--model", "org/tiny"});
  const auto before = [](const std::string& text) { return text.substr(0, text.find("saved in")); };
  EXPECT_THAT(before(fetched_.out), HasSubstr("best heads"));
  EXPECT_EQ(before(fetched_.out), before(made_.out));
  EXPECT_THAT(fetched_.out, HasSubstr("saved in                  outputs/runs/"));
}

TEST_F(FetchTest, JsonQuietAndWithoutReportAreTheUsers) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  ASSERT_EQ(
      RunClient({"profile", "--model", "org/tiny", "--server", server.address(), "--output_dir", "made"},
                folder_.path(), {{"PATH", folder_.path()}})
          .exit_code,
      0);
  const ClientResult result =
      Fetch(server, {"--json", "--quiet", "--no_figures", "--no_report", "--output_dir", "here"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(json::parse(result.out)["model"], "org_tiny");
  const std::string run = std::filesystem::directory_iterator(folder_ / "here/runs")->path();
  EXPECT_THAT(FileNames(run), AllOf(Not(testing::Contains("report.html")), Not(testing::Contains("figs"))));
  EXPECT_EQ(MetadataOf(run)["warnings"], json({"lag 2 is below min_lag"}));
}

// A job that another client submitted.
v1::Job ForeignJob(v1::Job::State state) {
  v1::Job job;
  job.set_name(kFakeJob);
  job.set_state(state);
  job.mutable_spec()->mutable_cross_size()->add_models("a");
  job.mutable_spec()->mutable_cross_size()->add_models("b");
  job.add_models("a");
  job.add_models("b");
  for (const char* name : {"a", "b"}) {
    v1::ModelUse* use = job.mutable_started()->add_models();
    use->set_name(name);
    use->set_source(name);
    use->set_n_layers(4);
    use->set_n_heads(4);
  }
  return job;
}

TEST_F(FetchTest, AJobWithoutAnnotationsIsCalledByItsKindAndItsModels) {
  const FakeServer server({.job = ForeignJob(v1::Job::STATE_SUCCEEDED)});
  Fetch(server);
  const std::string run = RunDirectories(folder_.path()).at(0);
  EXPECT_THAT(run, HasSubstr("-crosssize-a+1"));
  EXPECT_EQ(MetadataOf(run)["command"], "crosssize");
  EXPECT_EQ(MetadataOf(run)["labels"], json({"a", "b"}));
  EXPECT_THAT(FileBytes(run + "/config.yaml"),
              HasSubstr("induct-client crosssize --settings RUN/config.yaml\nmodels: [\"a\",\"b\"]\n"));
}

TEST_F(FetchTest, AnnotationsThatCannotBeOursAreNotUsed) {
  v1::Job job = ForeignJob(v1::Job::STATE_SUCCEEDED);
  auto& annotations = *job.mutable_spec()->mutable_options()->mutable_annotations();
  for (const char* labels : {"[1,2]", "[\"one\"]", "{", "7"}) {
    annotations["labels"] = labels;
    annotations["command"] = "../../evil";
    const FakeServer server({.job = job});
    Fetch(server);
    const std::string run = RunDirectories(folder_.path()).back();
    EXPECT_THAT(run, HasSubstr("-crosssize-a+1"));
    EXPECT_EQ(MetadataOf(run)["labels"], json({"a", "b"})) << labels;
  }
}

TEST_F(FetchTest, AJobWithoutAResultIsWrongUsageThatSaysItsState) {
  v1::Job failed = ForeignJob(v1::Job::STATE_FAILED);
  failed.mutable_error()->set_code(3);
  failed.mutable_error()->set_message("no copy operation");
  const std::pair<v1::Job, std::string> cases[] = {
      {ForeignJob(v1::Job::STATE_RUNNING), "its state is \"running\"\n"},
      {ForeignJob(v1::Job::STATE_CANCELLED), "its state is \"cancelled\"\n"},
      {failed, "its state is \"failed\": no copy operation\n"}};
  for (const auto& [job, said] : cases) {
    const FakeServer server({.job = job});
    const ClientResult result = Fetch(server);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr(said));
    EXPECT_THAT(RunDirectories(folder_.path()), IsEmpty());
  }
}

TEST_F(FetchTest, AJobThatTheServerDoesNotKnowIsWrongUsage) {
  const FakeServer server({});
  const ClientResult result = Fetch(server);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "induct-client: no such job\n");
}

TEST_F(FetchTest, AKindOfALaterVersionIsSaidAndLeavesNothing) {
  v1::Job job = ForeignJob(v1::Job::STATE_SUCCEEDED);
  job.mutable_spec()->clear_cross_size();
  const FakeServer server({.job = job});
  const ClientResult result = Fetch(server);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("of a kind that this client does not know; update it"));
  EXPECT_THAT(RunDirectories(folder_.path()), IsEmpty());
}

TEST_F(FetchTest, AnInterruptEndsItAndMetadataSaysSo) {
  v1::Job job = ForeignJob(v1::Job::STATE_SUCCEEDED);
  *job.add_artifacts() = ArtifactEvent("prompts.txt", "x").artifact();
  FakeServer server({.job = job, .artifact_waits = true});
  RunningClient client({"fetch", kFakeJob, "--server", server.address()}, folder_.path());
  server.AwaitWaiting();
  client.Signal(SIGINT);
  const ClientResult result = client.Wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(result.err, HasSubstr("interrupted: fetch it again"));
  EXPECT_EQ(MetadataOf(RunDirectories(folder_.path()).at(0))["state"], "cancelled");
}

TEST_F(FetchTest, AnArtifactThatIsGoneFailsAndMetadataSaysSo) {
  v1::Job job = ForeignJob(v1::Job::STATE_SUCCEEDED);
  *job.add_artifacts() = ArtifactEvent("prompts.txt", "gone").artifact();
  const FakeServer server({.job = job});
  const ClientResult result = Fetch(server);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("prompts.txt"));
  const json metadata = MetadataOf(RunDirectories(folder_.path()).at(0));
  EXPECT_EQ(metadata["state"], "failed");
  EXPECT_THAT(metadata["error"].get<std::string>(), HasSubstr("prompts.txt"));
}

}  // namespace
}  // namespace induct::client
