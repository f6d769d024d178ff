// `run --plan`: all analyses of a plan, what is done before, and what goes wrong on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <map>
#include <set>

#include "common/atomic_file.h"
#include "common/file_names.h"
#include "proto/message_json.h"
#include "tests/client/example_runs.h"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

// Every job leaves the results of all analyses of the model "m", of which each run reads its own.
Script AllResults() {
  Script script = SuccessfulScript("m");
  const SavedModel model = ExampleModel("m", 4, 4);
  script.artifacts[NullsFile("m")] = *ToJson(ExampleNulls(model));
  script.artifacts[CausalFile("m")] = *ToJson(ExampleCausal(model));
  script.artifacts[LagBucketsFile("m")] = *ToJson(ExampleLagBuckets(model));
  for (const std::string& name : {NullsFile("m"), CausalFile("m"), LagBucketsFile("m")})
    script.log.insert(script.log.end() - 1, ArtifactEvent(name, script.artifacts[name]));
  Renumber(&script.log);
  return script;
}

class PlanTest : public testing::Test {
 protected:
  void SetUp() override { WritePlan("models: [m]\n"); }
  void WritePlan(const std::string& plan) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / "plan.yaml", plan).ok());
  }
  // Figures are another test's.
  std::vector<std::string> Arguments(const FakeServer& server) {
    return {"run", "--plan", "plan.yaml", "--server", server.address()};
  }
  ClientResult Run(const FakeServer& server) {
    return RunClient(Arguments(server), folder_.path(), {{"PATH", folder_.path()}});
  }
  TemporaryFolder folder_;
};

TEST_F(PlanTest, RunsEveryAnalysisAndASecondTimeNone) {
  const FakeServer server(AllResults());
  const ClientResult first = Run(server);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out,
              AllOf(HasSubstr("profile of m     done   outputs/runs/"), HasSubstr("nulls of m       done "),
                    HasSubstr("causal of m      done "), HasSubstr("lagbuckets of m  done "),
                    HasSubstr("report in outputs/report_plan.html\n")));
  EXPECT_THAT(server.record().created, SizeIs(4));
  const std::string page = FileBytes(folder_ / "outputs/report_plan.html");
  const std::string markdown = FileBytes(folder_ / "outputs/report_plan.md");
  const ClientResult second = Run(server);
  EXPECT_EQ(second.exit_code, 0);
  EXPECT_TRUE(page == FileBytes(folder_ / "outputs/report_plan.html"));
  EXPECT_EQ(markdown, FileBytes(folder_ / "outputs/report_plan.md"));
  EXPECT_THAT(second.out,
              AllOf(HasSubstr("causal of m      done before  outputs/runs/"), Not(HasSubstr("done  "))));
  EXPECT_THAT(server.record().created, SizeIs(4));
}

TEST_F(PlanTest, EveryPlanLeavesAReportOfItsOwn) {
  const FakeServer server(AllResults());
  std::filesystem::create_directories(folder_ / "plans");
  const std::string absolute = std::filesystem::path(folder_ / "plan.yaml").lexically_normal().string();
  const std::string absolute_name = PlainFileName(absolute.substr(1, absolute.rfind('.') - 1));
  for (const auto& [plan, report] :
       std::map<std::string, std::string>{{"plan.yaml", "report_plan"},
                                          {"./plan.yaml", "report_plan"},
                                          {"plan.yml", "report_plan.yml"},
                                          {"plans/plan.yaml", "report_plans_plan"},
                                          {"plans/a.5.yaml", "report_plans_a.5"},
                                          {absolute, "report_" + absolute_name}}) {
    ASSERT_TRUE(WriteFileAtomically(plan.starts_with('/') ? plan : folder_ / plan, "models: [m]\n").ok());
    const ClientResult result = RunClient({"run", "--plan", plan, "--server", server.address()},
                                          folder_.path(), {{"PATH", folder_.path()}});
    EXPECT_THAT(result.out, HasSubstr("report in outputs/" + report + ".html\n")) << result.err;
    EXPECT_THAT(FileBytes(folder_ / "outputs/" + report + ".md"), HasSubstr("m")) << plan;
  }
}

TEST_F(PlanTest, WhatIsDoneNeedsNoServer) {
  {
    const FakeServer server(AllResults());
    ASSERT_EQ(Run(server).exit_code, 0);
  }
  const ClientResult result =
      RunClient({"run", "--plan", "plan.yaml", "--server", "127.0.0.1:1"}, folder_.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(PlanTest, WhatIsDamagedUnfinishedOrChangedIsRepeated) {
  const FakeServer server(AllResults());
  ASSERT_EQ(Run(server).exit_code, 0);
  const std::vector<std::string> runs = RunDirectories(folder_.path());
  for (const std::string& run : runs) {
    if (run.find("-nulls-") != std::string::npos) std::filesystem::resize_file(run + "/nulls_m.json", 99);
    if (run.find("-causal-") != std::string::npos) std::filesystem::remove(run + "/metadata.json");
  }
  EXPECT_THAT(Run(server).out,
              AllOf(HasSubstr("profile of m     done before"), HasSubstr("nulls of m       done  "),
                    HasSubstr("causal of m      done  "), HasSubstr("lagbuckets of m  done before")));
  EXPECT_THAT(server.record().created, SizeIs(6));
  WritePlan("models: [m]\nseed: 5\n");
  EXPECT_THAT(Run(server).out, Not(HasSubstr("done before")));
  EXPECT_THAT(server.record().created, SizeIs(10));
}

TEST_F(PlanTest, SeveralModelsAreComparedAsWell) {
  WritePlan("models: [a, b, c]\n");
  const FakeServer server(AllResults());
  Run(server);
  const std::vector<v1::JobSpec> specs = server.record().created;
  ASSERT_THAT(specs, SizeIs(3 + 1 + 3 * 3));
  EXPECT_THAT(specs[3].cross_size().models(), testing::ElementsAre("a", "b", "c"));
  std::set<std::string> ids;
  for (const v1::JobSpec& spec : specs) ids.insert(spec.options().request_id());
  EXPECT_THAT(ids, SizeIs(specs.size()));
}

TEST_F(PlanTest, RandomSetsAreAsLargeAsTheAblatedOne) {
  WritePlan("models: [m]\nevaluation:\n  causal_top_k: 2\n");
  const FakeServer server(AllResults());
  Run(server);
  const v1::CausalSpec causal = server.record().created.at(2).causal();
  EXPECT_EQ(causal.profile().evaluation().causal_random_k(), 2u);
}

TEST_F(PlanTest, AFailedAnalysisIsToldAndTheOthersRun) {
  Script script = AllResults();
  script.creations = {grpc::Status(),
                      ServerError(grpc::StatusCode::INVALID_ARGUMENT, "no such null\x1b", "")};
  const FakeServer server(script);
  const ClientResult result = Run(server);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr("nulls of m       failed  no such null\\x1b"),
                                HasSubstr("causal of m      done"), HasSubstr("report in")));
  EXPECT_THAT(
      result.err,
      HasSubstr("1 of 4 analyses failed or were cancelled; run the command again to repeat those alone"));
  EXPECT_THAT(Run(server).out, HasSubstr("nulls of m       done  "));
  EXPECT_THAT(server.record().created, SizeIs(5));
}

TEST_F(PlanTest, AJobThatAnotherCancelsIsToldAndTheOthersRun) {
  Script script = AllResults();
  script.plays = {Play(), {.end_index = 3, .wait_for_cancel = true}};
  FakeServer server(script);
  RunningClient client(Arguments(server), folder_.path(), {{"PATH", folder_.path()}});
  server.AwaitWaiting();
  ASSERT_EQ(RunClient({"cancel", kFakeJob, "--server", server.address()}, folder_.path()).exit_code, 0);
  const ClientResult result = client.Wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("profile of m     done "), HasSubstr("nulls of m       cancelled  the job was"),
                    HasSubstr("causal of m      done "), HasSubstr("lagbuckets of m  done ")));
  EXPECT_THAT(result.err, HasSubstr("1 of 4 analyses failed or were cancelled"));
}

TEST_F(PlanTest, AServerThatIsBusyEndsThePlan) {
  Script script = AllResults();
  script.creations = {grpc::Status(),
                      ServerError(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "QUEUE_FULL")};
  const FakeServer server(script);
  const ClientResult result = Run(server);
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, AllOf(HasSubstr("profile of m  done"), HasSubstr("nulls of m    stopped  full"),
                                Not(HasSubstr("causal"))));
}

TEST_F(PlanTest, AnInterruptEndsThePlanAndNotTheStepAlone) {
  Script script = AllResults();
  script.plays = {Play(), {.end_index = 3, .wait_for_cancel = true}};
  FakeServer server(script);
  RunningClient client(Arguments(server), folder_.path(), {{"PATH", folder_.path()}});
  server.AwaitWaiting();
  client.Signal(SIGINT);
  const ClientResult result = client.Wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(server.record().created, SizeIs(2));
  EXPECT_THAT(server.record().cancelled, SizeIs(1));
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("profile of m  done"), HasSubstr("nulls of m    stopped  interrupted")));
}

TEST_F(PlanTest, APlanWithoutModelsIsWrongUsage) {
  WritePlan("seed: 1\n");
  const ClientResult result =
      RunClient({"run", "--plan", "plan.yaml", "--server", "127.0.0.1:1"}, folder_.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("give `models` in the plan"));
  EXPECT_EQ(result.out, "");
}

TEST_F(PlanTest, AServerThatIsNotThereIs3) {
  const ClientResult result =
      RunClient({"run", "--plan", "plan.yaml", "--server", "127.0.0.1:1"}, folder_.path());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace induct::client
