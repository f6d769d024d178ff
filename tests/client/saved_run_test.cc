// Run directories read back, whole and damaged.
#include "client/saved_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/str_replace.h"
#include "client/exit_code.h"
#include "client/kinds/pattern.h"
#include "client/kinds/profile.h"
#include "client/run_list.h"
#include "tests/client/example_runs.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SavedRunTest : public testing::Test {
 protected:
  void SetUp() override {
    SavedModel model = ExampleModel("org/m", 4, 3);
    model.results.Put(ExampleNulls(model));
    model.results.Put(ExampleCausal(model));
    model.results.Put(ExampleLagBuckets(model));
    AddExamplePattern(6, &model);
    WriteRun(ExampleRun("nulls", {model}), path_);
  }
  // What is left of the run after a file was changed.
  SavedRun Read() {
    auto run = ReadRun(path_);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? *std::move(run) : SavedRun();
  }
  void Replace(const std::string& file, const std::string& from, const std::string& to) {
    const std::string before = FileBytes(path_ + "/" + file);
    const std::string after = absl::StrReplaceAll(before, {{from, to}});
    ASSERT_NE(before, after) << file << " does not hold " << from;
    WriteBytes(path_ + "/" + file, after);
  }
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "run";
};

TEST_F(SavedRunTest, EverythingComesBackAsItWasWritten) {
  const SavedRun run = Read();
  EXPECT_THAT(run.problems, IsEmpty());
  EXPECT_EQ(run.metadata.command(), "nulls");
  ASSERT_THAT(run.models, SizeIs(1));
  const SavedModel& model = run.models[0];
  EXPECT_EQ(model.label, "org/m");
  EXPECT_EQ(model.Get<v1::Profile>()->peak_layer(), 2u);
  EXPECT_EQ(ScoresOf(model)->shape, (std::vector<int64_t>{4, 3}));
  EXPECT_EQ(model.Get<v1::Nulls>()->head_permutation().resamples(), 10000u);
  EXPECT_THAT(model.Get<v1::Causal>()->random_k().draws(), SizeIs(20));
  EXPECT_THAT(model.Get<v1::LagBuckets>()->buckets(), SizeIs(3));
  EXPECT_THAT(AttentionOf(model)->values, SizeIs(36));
}

TEST_F(SavedRunTest, DamagedFilesAreNamedAndTheRestIsThere) {
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"profile_org_m.json", [&] { std::filesystem::resize_file(path_ + "/profile_org_m.json", 100); }},
      {"profile_org_m.json", [&] { Replace("profile_org_m.json", "\"n_heads\": 3", "\"n_heads\": 4"); }},
      {"profile_org_m.json",
       [&] { Replace("profile_org_m.json", "\"centroid_rel\": 0.52", "\"centroid_rel\": \"NaN\""); }},
      {"profile_org_m.json",
       [&] { Replace("profile_org_m.json", "\"peak_layer\": 2", "\"peak_layer\": 4"); }},
      {"scores_org_m.npy", [&] { std::filesystem::resize_file(path_ + "/scores_org_m.npy", 130); }},
      {"nulls_org_m.json", [&] { Replace("nulls_org_m.json", "\"band_low\": [", "\"band_low\": [0,"); }},
      {"nulls_org_m.json", [&] { Replace("nulls_org_m.json", "\"n_layers\": 4", "\"n_layers\": 5"); }},
      {"causal_org_m.json", [&] { Replace("causal_org_m.json", "\"random_k\"", "\"of_a_newer_server\""); }},
      {"lag_buckets_org_m.json",
       [&] { Replace("lag_buckets_org_m.json", "\"per_layer\": [", "\"per_layer\": [0,"); }},
      {"pattern_org_m.json", [&] { Replace("pattern_org_m.json", "\"query\": 5", "\"query\": 6"); }},
      {"pattern_org_m.npy", [&] { std::filesystem::remove(path_ + "/pattern_org_m.npy"); }},
      {"config.yaml", [&] { std::filesystem::remove(path_ + "/config.yaml"); }},
  };
  for (const auto& [file, damage] : cases) {
    std::filesystem::remove_all(path_);
    SetUp();
    damage();
    const SavedRun run = Read();
    ASSERT_THAT(run.problems, ElementsAre(testing::StartsWith(file)));
    ASSERT_THAT(run.models, SizeIs(1)) << file;
    const SavedModel& model = run.models[0];
    const int results = (model.Get<v1::Profile>() != nullptr) + (model.Get<v1::Nulls>() != nullptr) +
                        (model.Get<v1::Causal>() != nullptr) + (model.Get<v1::LagBuckets>() != nullptr) +
                        (model.Get<v1::AttentionPattern>() != nullptr);
    EXPECT_GE(results, 4) << file;
  }
}

TEST_F(SavedRunTest, AMissingResultOfTheRunsOwnCommandIsAProblemAndOneOfAnotherIsNot) {
  std::filesystem::remove(path_ + "/causal_org_m.json");
  EXPECT_THAT(Read().problems, IsEmpty());
  std::filesystem::remove(path_ + "/nulls_org_m.json");
  EXPECT_THAT(Read().problems, ElementsAre("nulls_org_m.json is missing"));
}

TEST_F(SavedRunTest, ARunThatDidNotSucceedSaysSo) {
  Replace("metadata.json", "\"succeeded\"", "\"failed\"");
  Replace("metadata.json", "\"error\": \"\"", "\"error\": \"no copy operation\"");
  EXPECT_THAT(Read().problems,
              Contains("the run is not complete: its state is \"failed\": no copy operation"));
}

TEST_F(SavedRunTest, WhatIsNoRunIsRefusedAsWrongUsage) {
  const auto refused = [&](const std::string& path) {
    const absl::Status status = ReadRun(path).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kUsage) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refused(folder_ / "none"), HasSubstr("none is no run directory"));
  EXPECT_THAT(refused(path_ + "/metadata.json"), HasSubstr("is no run directory"));
  EXPECT_THAT(refused(folder_.path()), HasSubstr("is no run directory"));
  Replace("metadata.json", "\"format\": 1", "\"format\": 2");
  EXPECT_THAT(refused(path_), AllOf(HasSubstr("later induct"), HasSubstr("update induct-client")));
  Replace("metadata.json", "\"name\": \"org_m\"", "\"name\": \"../../etc\"");
  Replace("metadata.json", "\"format\": 2", "\"format\": 1");
  EXPECT_THAT(refused(path_), HasSubstr("a model in it has no name"));
  std::filesystem::resize_file(path_ + "/metadata.json", 50);
  EXPECT_THAT(refused(path_), HasSubstr("metadata.json"));
}

TEST(RunListTest, RunsComeByTimeAndWhatIsNoneIsNamed) {
  const TemporaryFolder folder;
  SavedRun run = ExampleRun("profile", {ExampleModel("m", 2, 2)});
  WriteRun(run, folder / "runs/b");
  run.metadata.set_created("2026-01-01T00:00:00Z");
  WriteRun(run, folder / "runs/c");
  WriteRun(run, folder / "runs/a");
  std::filesystem::create_directories(folder / "runs/empty");
  WriteBytes(folder / "runs/file", "");
  for (const std::string& path : {folder.path(), folder / "runs"}) {
    const auto list = ReadRuns(path);
    ASSERT_TRUE(list.ok()) << list.status();
    std::vector<std::string> names;
    for (const SavedRun& each : list->runs) names.push_back(std::filesystem::path(each.path).filename());
    EXPECT_THAT(names, ElementsAre("a", "c", "b"));
    EXPECT_THAT(list->problems, ElementsAre(HasSubstr("runs/empty is no run directory")));
  }
  EXPECT_THAT(ReadRuns(folder / "runs/a")->runs, SizeIs(1));
}

}  // namespace
}  // namespace induct::client
