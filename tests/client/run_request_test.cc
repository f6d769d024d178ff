// What induct-client asks a server for, from flags, environment, settings file and prompts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/settings.h"
#include "common/version.h"
#include "nlohmann/json.hpp"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

TEST(RunRequestTest, HelpNamesEveryRequestSettingAndExitsWith0) {
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

TEST(RunRequestTest, AFlagBeatsTheEnvironmentWhichBeatsTheFile) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const std::string file = "models: [{id: from-file}]\nseed: 1\nmin_lag: 1\nscore: previous\nserver: \"" +
                           server.address() + "\"\nprompts:\n  n_sequences: 7\n";
  ASSERT_TRUE(WriteFileAtomically(folder / "s.yaml", file).ok());
  const ClientResult result = RunClient({"profile", "--settings", "s.yaml", "--seed", "3"}, folder.path(),
                                        {{"INDUCT_SEED", "2"}, {"INDUCT_MIN_LAG", "2"}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const v1::ProfileSpec request = server.record().created.at(0).profile();
  EXPECT_EQ(request.model(), "from-file");
  EXPECT_EQ(request.run().seed(), 3u);
  EXPECT_EQ(request.run().min_lag(), 2u);
  EXPECT_EQ(request.run().score(), "previous");
  EXPECT_EQ(request.prompts().n_sequences(), 7u);
  EXPECT_FALSE(request.run().has_antecedents());
}

TEST(RunRequestTest, AVariableThatIsAlmostASettingsIsToldUnlessQuiet) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  const std::map<std::string, std::string> environment = {
      {"INDUCT_SEDE", "1"},    {"INDUCT_SEED", "2"},        {"INDUCT_TEST_BIN", "x"},
      {"INDUCT_TORCH", "x"},   {"INDUCT_TORCH_INDEX", "x"}, {"INDUCT_TOKENIZERS", "x"},
      {"INDUCT_VEGA_DIR", "x"}};
  const std::string told =
      "induct-client: environment variable INDUCT_SEDE sets nothing; did you mean INDUCT_SEED?\n";
  EXPECT_EQ(RunClient({"models", "--server", server.address()}, folder.path(), environment).err, told);
  EXPECT_THAT(RunClient(ProfileArguments(server), folder.path(), environment).err, HasSubstr(told));
  EXPECT_EQ(RunClient(ProfileArguments(server, {"--quiet"}), folder.path(), environment).err, "");
}

TEST(RunRequestTest, TheUsersOwnFileIsReadWhereNoneIsGiven) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / ".config/induct");
  ASSERT_TRUE(WriteFileAtomically(folder / ".config/induct/client.yaml",
                                  "server: \"" + server.address() + "\"\nseed: 9\n")
                  .ok());
  ASSERT_EQ(RunClient({"profile", "--model", "m"}, folder.path()).exit_code, 0);
  EXPECT_EQ(server.record().created.at(0).profile().run().seed(), 9u);
}

TEST(RunRequestTest, GivenPromptsTravelWithTheRequest) {
  const FakeServer server(SuccessfulScript("org/tiny"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "p.jsonl", "{\"text\":\"a b\"}\n{\"token_ids\":[1,2]}\n").ok());
  const ClientResult result = RunClient(ProfileArguments(server, {"--prompts", "p.jsonl"}), folder.path());
  ASSERT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, Not(HasSubstr("without effect")));
  ASSERT_EQ(server.record().created.at(0).profile().given_prompts_size(), 2);
  EXPECT_EQ(server.record().created[0].profile().given_prompts(1).token_ids(1), 2u);

  const std::string config = RunDirectories(folder.path()).at(0) + "/config.yaml";
  EXPECT_THAT(FileBytes(config),
              testing::MatchesRegex(
                  "# To repeat the run from another folder, RUN being this one: induct-client profile "
                  "--settings RUN/config.yaml --prompts RUN/prompts_org_tiny.jsonl\n"
                  "models: .*"));
  EXPECT_TRUE(LoadSettings(config).ok());
  const json metadata = json::parse(FileBytes(RunDirectories(folder.path()).at(0) + "/metadata.json"));
  EXPECT_EQ(metadata["n_given_prompts"], 2);
}

TEST(RunRequestTest, FlagsThatChooseGeneratedPromptsAreNamedWherePromptsAreGiven) {
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

TEST(RunRequestTest, EachCommandMakesItsRequest) {
  const FakeServer server(SuccessfulScript("m"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "c.txt", "some text\nmore\n").ok());
  const auto request_of = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server.address(), "--no_report", "--quiet"});
    RunClient(arguments, folder.path());
    return server.record().created.back();
  };
  const auto cross_size = request_of({"crosssize", "--models", "a", "b"}).cross_size();
  EXPECT_THAT(cross_size.models(), testing::ElementsAre("a", "b"));
  EXPECT_EQ(cross_size.profile().model(), "");
  EXPECT_TRUE(request_of({"multisize", "--models", "a", "b", "c"}).has_cross_size());
  const auto nulls =
      request_of({"nulls", "--model", "m", "--null_resamples", "99", "--shuffle_null", "false"}).nulls();
  EXPECT_EQ(nulls.profile().evaluation().null_resamples(), 99u);
  EXPECT_FALSE(nulls.profile().evaluation().shuffle_null());
  const auto causal = request_of({"causal", "--model", "m", "--topk", "2", "--randomk", "4", "--draws", "7",
                                  "--ablation", "mean", "--control_prompts", "c.txt"})
                          .causal();
  EXPECT_EQ(causal.profile().evaluation().causal_top_k(), 2u);
  EXPECT_EQ(causal.profile().evaluation().causal_random_k(), 4u);
  EXPECT_EQ(causal.profile().evaluation().random_draws(), 7u);
  EXPECT_EQ(causal.profile().evaluation().ablation(), "mean");
  EXPECT_EQ(causal.control_prompts_size(), 2);
  const auto heads = request_of({"causal", "--model", "m", "--heads", "1.2,0.3"}).causal().heads();
  ASSERT_EQ(heads.size(), 2);
  EXPECT_EQ(heads[0].layer(), 1u);
  EXPECT_EQ(heads[0].head(), 2u);
  const auto lags = request_of({"lagbuckets", "--model", "m", "--edges", "8,16"}).lag_buckets();
  EXPECT_THAT(lags.profile().evaluation().lag_edges(), testing::ElementsAre(8, 16));
  const auto pattern = request_of({"pattern", "--model", "m", "--head", "3.1", "--prompt", "5"}).pattern();
  EXPECT_EQ(pattern.head().layer(), 3u);
  EXPECT_EQ(pattern.head().head(), 1u);
  EXPECT_EQ(pattern.prompt(), 5u);
}

TEST(RunRequestTest, RandomSetsAreAsLargeAsTheAblatedOneUnlessTheUserSaysHowLarge) {
  const FakeServer server(SuccessfulScript("m"));
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "top.yaml", "evaluation:\n  causal_top_k: 5\n").ok());
  ASSERT_TRUE(WriteFileAtomically(folder / "random.yaml", "evaluation:\n  causal_random_k: 7\n").ok());
  const auto random_k = [&](const std::vector<std::string>& flags,
                            const std::map<std::string, std::string>& environment = {}) {
    std::vector<std::string> arguments = {"causal", "--model", "m", "--server", server.address(), "--quiet"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    RunClient(arguments, folder.path(), environment);
    return server.record().created.back().causal().profile().evaluation().causal_random_k();
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

TEST(RunRequestTest, JobsAreListedAndCancelTakesTheBareName) {
  Script script;
  for (int i = 0; i < 5; ++i) {
    v1::Job& job = script.jobs.emplace_back();
    job.set_name("jobs/J" + std::to_string(i));
    job.set_state(i == 0 ? v1::Job::STATE_FAILED : v1::Job::STATE_QUEUED);
    if (i == 0) job.mutable_error()->set_code(3);
    if (i == 0) job.mutable_error()->set_message("no copy operation");
  }
  const FakeServer server(script);
  const TemporaryFolder folder;
  const std::map<std::string, std::string> environment = {{"INDUCT_SERVER", server.address()}};
  EXPECT_THAT(RunClient({"jobs"}, folder.path(), environment).out,
              AllOf(HasSubstr("J4"), HasSubstr("no copy operation")));
  const json jobs =
      json::parse(RunClient({"jobs", "--json", "--limit", "3"}, folder.path(), environment).out);
  ASSERT_THAT(jobs["jobs"], SizeIs(3));
  EXPECT_EQ(jobs["jobs"][0]["state"], "failed");
  EXPECT_EQ(jobs["jobs"][2]["state"], "queued");
  EXPECT_THAT(RunClient({"jobs"}, folder.path(), environment).out,
              testing::ContainsRegex("J0 +failed .*\nJ1 +queued "));

  const ClientResult cancelled =
      RunClient({"cancel", std::string(kFakeJob).substr(5)}, folder.path(), environment);
  EXPECT_EQ(cancelled.exit_code, 0);
  EXPECT_EQ(cancelled.out, std::string(kFakeJob) + ": cancelled\n");
  EXPECT_EQ(RunClient({"cancel", "jobs/NONE"}, folder.path(), environment).exit_code, 2);
}

TEST(RunRequestTest, JobsAreAskedForAsTheFiltersSay) {
  const FakeServer server({});
  const TemporaryFolder folder;
  const ClientResult result =
      RunClient({"jobs", "--state", "running,failed", "--kind", "nulls,crosssize", "--model", "org/m",
                 "--owner", "ada", "--mine", "--server", server.address()},
                folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const v1::ListJobsRequest request = server.record().listed.at(0);
  EXPECT_THAT(request.states(), testing::ElementsAre(v1::Job::STATE_RUNNING, v1::Job::STATE_FAILED));
  EXPECT_THAT(request.kinds(), testing::ElementsAre("nulls", "crosssize"));
  EXPECT_EQ(request.model() + request.owner(), "org/mada");
  EXPECT_TRUE(request.mine());
}

TEST(RunRequestTest, TheClientTellsInAnnotationsWhatMadeTheJob) {
  const FakeServer server(SuccessfulScript("m"));
  const TemporaryFolder folder;
  const auto annotations_of = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server.address(), "--no_report", "--quiet"});
    RunClient(arguments, folder.path());
    const auto annotations = server.record().created.back().options().annotations();
    return std::map<std::string, std::string>(annotations.begin(), annotations.end());
  };
  EXPECT_THAT(
      annotations_of({"profile", "--model", "m"}),
      testing::ElementsAre(testing::Pair("client_version", kVersion), testing::Pair("command", "profile")));
  EXPECT_THAT(
      annotations_of({"multisize", "--models", "a", "b", "c", "--labels", "A", "\"", "C"}),
      testing::ElementsAre(testing::Pair("client_version", kVersion), testing::Pair("command", "multisize"),
                           testing::Pair("labels", "[\"A\",\"\\\"\",\"C\"]")));
}

TEST(RunRequestTest, CancelIsDoneWhereTheJobWillEndOrHasEnded) {
  const std::pair<v1::Job::State, const char*> cases[] = {
      {v1::Job::STATE_RUNNING, "will be cancelled (now running)"},
      {v1::Job::STATE_PREPARING, "will be cancelled (now preparing)"},
      {v1::Job::STATE_CANCELLED, "cancelled"},
      {v1::Job::STATE_SUCCEEDED, "had ended before: succeeded"},
      {v1::Job::STATE_FAILED, "had ended before: failed"}};
  for (const auto& [state, outcome] : cases) {
    const FakeServer server({.state_after_cancel = state});
    const TemporaryFolder folder;
    const ClientResult result = RunClient({"cancel", kFakeJob, "--server", server.address()}, folder.path());
    EXPECT_EQ(result.exit_code, 0) << state << result.err;
    EXPECT_EQ(result.out, absl::StrCat(kFakeJob, ": ", outcome, "\n"));
  }
}

}  // namespace
}  // namespace induct::client
