// Models of the hub as the registry finds them; what the hub itself does is tested in tests/hub.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/status.h"
#include "server/models/model_registry.h"
#include "tests/hub/local_hub.h"
#include "tests/metrics/told.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kDemoModel[] = INDUCT_SOURCE_DIR "/deploy/demo_models/demo-small";
const std::string kFirst(40, 'a'), kSecond(40, 'b');

class HubModelsTest : public ::testing::Test {
 protected:
  HubModelsTest() {
    std::string pattern = testing::TempDir() + "/hub_models.XXXXXX";
    dir_ = mkdtemp(pattern.data());
    fs::create_directories(dir_ + "/folders");
  }
  ~HubModelsTest() override { fs::remove_all(dir_); }

  // Nobody listens at the endpoint: what is not in the cache is not there.
  ModelRegistry& Registry(bool offline = false, std::vector<std::string> allow_models = {"*"}) {
    hub::HubOptions options{
        .endpoint = "http://127.0.0.1:9", .cache_dir = dir_ + "/cache", .offline = offline};
    options.retry.max_attempts = 1;
    hub_ = hub::Hub::Create(options).value();
    registry_ = std::make_unique<ModelRegistry>(RegistryOptions{
        .model_dirs = {dir_ + "/folders"}, .allow_models = std::move(allow_models), .hub = hub_.get()});
    return *registry_;
  }

  void Cache(const std::string& repo_folder, const std::string& revision, const std::string& commit) const {
    const fs::path repo = fs::path(dir_) / "cache" / repo_folder;
    fs::create_directories(repo / "refs");
    std::ofstream(repo / "refs" / revision) << commit;
    fs::create_directories(repo / "snapshots" / commit);
    fs::copy(kDemoModel, repo / "snapshots" / commit,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }

  std::string dir_;
  std::unique_ptr<hub::Hub> hub_;
  std::unique_ptr<ModelRegistry> registry_;
};

TEST_F(HubModelsTest, AliasFullNameAndCommitAreOneModel) {
  Cache("models--EleutherAI--pythia-14m", "main", kFirst);
  ModelRegistry& registry = Registry();
  const auto files = registry.Open("pythia-14m").value();
  EXPECT_EQ(files->name(), "EleutherAI/pythia-14m");
  EXPECT_EQ(files->revision(), kFirst);
  for (const std::string& name :
       {std::string("EleutherAI/pythia-14m"), std::string("pythia-14m@main"), "pythia-14m@" + kFirst}) {
    EXPECT_EQ(registry.Open(name).value(), files) << name;
  }
}

TEST_F(HubModelsTest, RevisionsAreModelsOfTheirOwnThatShareTheTokenizer) {
  Cache("models--EleutherAI--pythia-14m", "main", kFirst);
  Cache("models--EleutherAI--pythia-14m", "step3000", kSecond);
  ModelRegistry& registry = Registry();
  const auto last = registry.Open("pythia-14m").value(), early = registry.Open("pythia-14m@step3000").value();
  EXPECT_NE(last, early);
  EXPECT_EQ(early->name(), "EleutherAI/pythia-14m@step3000");
  EXPECT_EQ(early->tokenizer(), last->tokenizer());
}

TEST_F(HubModelsTest, AModelThatIsCachedByItsFormerNameIsFound) {
  Cache("models--gpt2", "main", kFirst);
  ModelRegistry& registry = Registry();
  EXPECT_EQ(registry.Open("gpt2").value(), registry.Open("openai-community/gpt2").value());
  EXPECT_EQ(registry.List()[0].name, "openai-community/gpt2");
}

TEST_F(HubModelsTest, AFolderComesBeforeTheCache) {
  Cache("models--EleutherAI--pythia-14m", "main", kFirst);
  fs::copy(kDemoModel, dir_ + "/folders/pythia-14m", fs::copy_options::recursive);
  ModelRegistry& registry = Registry();
  EXPECT_EQ(registry.Open("pythia-14m").value()->revision(), "");
  EXPECT_EQ(registry.Open("EleutherAI/pythia-14m").value()->revision(), kFirst);
  EXPECT_THAT(std::string(registry.Open("pythia-14m@step3000").status().message()),
              HasSubstr("folders have no revisions"));
}

TEST_F(HubModelsTest, ListsHoldFoldersAndWhatIsCachedAndAllowed) {
  Cache("models--EleutherAI--pythia-14m", "main", kFirst);
  Cache("models--EleutherAI--pythia-14m", "step3000", kSecond);
  Cache("models--org--other", "main", kFirst);
  fs::copy(kDemoModel, dir_ + "/folders/alpha", fs::copy_options::recursive);
  std::vector<std::string> names;
  for (const ModelListing& listing : Registry(false, {"alpha", "pythia-*"}).List()) {
    names.push_back(listing.name);
    EXPECT_EQ(listing.problem, "");
  }
  EXPECT_THAT(names, ElementsAre("EleutherAI/pythia-14m", "EleutherAI/pythia-14m@step3000", "alpha"));
  EXPECT_EQ(ReasonOf(registry_->CheckExists("org/other")), reason::kModelNotAllowed);
  EXPECT_EQ(ReasonOf(registry_->CheckExists("org/unknown")), reason::kModelNotAllowed);
}

TEST_F(HubModelsTest, OnlyANameThatTheHubMayHaveWaitsForIt) {
  ModelRegistry& registry = Registry();
  EXPECT_TRUE(registry.CheckExists("org/unknown").ok());
  EXPECT_TRUE(registry.CheckExists("pythia-70m@step1000").ok());
  EXPECT_EQ(registry.Open("org/unknown").status().code(), absl::StatusCode::kUnavailable);
  const absl::Status described = registry.Describe("org/unknown").status();
  EXPECT_EQ(described.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(described.message()), HasSubstr("not on the server yet"));
  EXPECT_TRUE(registry.Unload("org/unknown").ok());

  EXPECT_THAT(std::string(registry.CheckExists("pythia-71m").message()),
              AllOf(HasSubstr("there is no model \"pythia-71m\""), HasSubstr("did you mean pythia-")));
  for (const std::string& name : {std::string("org/a b"), std::string("org/name@a b"), std::string("-x/y"),
                                  std::string("/org/name"), std::string("org/..name")}) {
    EXPECT_EQ(registry.CheckExists(name).code(), absl::StatusCode::kNotFound) << name;
  }
}

TEST_F(HubModelsTest, OfflineWhatIsNotCachedIsRefusedAtOnce) {
  const absl::Status status = Registry(/*offline=*/true).CheckExists("org/unknown");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("HF_HUB_OFFLINE"));
}

std::string BytesOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST_F(HubModelsTest, WhatIsMissingIsDownloadedWithProgressOnceAndThenLoads) {
  hub::LocalHub local;
  for (const auto& entry : fs::directory_iterator(kDemoModel)) {
    const std::string name = entry.path().filename();
    local.Put(name, BytesOf(entry.path()), /*is_large=*/name == "model.safetensors");
  }
  const auto hub = hub::Hub::Create(hub::LocalOptions(local, dir_ + "/cache")).value();
  metrics::Told told;
  ModelRegistry registry({.hub = hub.get(), .recorder = &told});
  std::vector<PreparationStep> steps;
  const auto on_step = [&](const PreparationStep& step) { steps.push_back(step); };

  const auto files = registry.Open(hub::kTestRepo, on_step).value();
  EXPECT_EQ(files->name(), hub::kTestRepo);
  EXPECT_EQ(files->revision(), hub::kTestCommit);
  EXPECT_EQ(steps.front().what, "opening org/model");
  EXPECT_EQ(steps[1].what, "asking the hub for org/model");
  EXPECT_THAT(steps.back().what, HasSubstr("downloading org/model ("));
  EXPECT_EQ(steps.back().fraction, 1.0);
  EXPECT_TRUE(registry.Load(files, {}, WhenFull::kWait, {}, {}).ok());
  EXPECT_EQ(registry.List()[0].name, hub::kTestRepo);

  local.ForgetRequests();
  EXPECT_EQ(registry.Open(hub::kTestRepo).value(), files);
  EXPECT_THAT(local.asked(), ElementsAre());
  EXPECT_THAT(told.lines(), ElementsAre("downloaded", "loaded OK"));
}

TEST_F(HubModelsTest, WhatAJobHoldsOrALoadedModelCameFromIsNotRemovedFromTheCache) {
  hub::LocalHub local;
  for (const auto& entry : fs::directory_iterator(kDemoModel)) {
    const std::string name = entry.path().filename();
    local.Put(name, BytesOf(entry.path()), /*is_large=*/name == "model.safetensors");
  }
  const auto hub = hub::Hub::Create(hub::LocalOptions(local, dir_ + "/cache")).value();
  const auto removed = [&] { return hub->Prune(0, /*dry_run=*/false, {}).value().removed.size(); };
  ModelRegistry registry({.hub = hub.get()});

  auto files = registry.Open(hub::kTestRepo).value();
  EXPECT_EQ(removed(), 0u);
  ASSERT_TRUE(registry.Load(files, {}, WhenFull::kWait, {}, {}).ok());
  files.reset();
  EXPECT_EQ(removed(), 0u);  // the loaded model stays for the next job
  ASSERT_TRUE(registry.Unload(hub::kTestRepo).ok());
  EXPECT_EQ(registry.List().size(), 1u);  // which remembers the files, but does not use them
  EXPECT_EQ(removed(), 1u);
  EXPECT_TRUE(registry.IsRemote(hub::kTestRepo).value());
  EXPECT_TRUE(registry.Open(hub::kTestRepo).ok());
}

TEST_F(HubModelsTest, ADownloadClosesFilesThatNobodyUsesSoThatTheirRoomIsFree) {
  hub::LocalHub local;
  for (const auto& entry : fs::directory_iterator(kDemoModel)) {
    const std::string name = entry.path().filename();
    local.Put(name, BytesOf(entry.path()), /*is_large=*/name == "model.safetensors");
    local.Put(name, BytesOf(entry.path()) + " ", /*is_large=*/name == "model.safetensors", kSecond);
  }
  local.PutRevision("second", kSecond);
  hub::HubOptions options = hub::LocalOptions(local, dir_ + "/cache");
  options.max_fetched_bytes = 1;
  const auto hub = hub::Hub::Create(options).value();
  ModelRegistry registry({.hub = hub.get()});
  ASSERT_TRUE(registry.Open(hub::kTestRepo).ok());
  EXPECT_FALSE(hub->ListHeld().empty());
  (void)registry.Open(absl::StrCat(hub::kTestRepo, "@second"));
  EXPECT_EQ(hub->ListHeld().size(), 1u);
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    EXPECT_THAT(fs::read_symlink(entry.path(), error).string(), Not(HasSubstr("(deleted)")));
  }
}

TEST_F(HubModelsTest, AModelAtTheHubIsDescribedAsItWillBeWhenItIsHere) {
  hub::LocalHub local;
  for (const auto& entry : fs::directory_iterator(kDemoModel)) {
    const std::string name = entry.path().filename();
    local.Put(name, BytesOf(entry.path()), /*is_large=*/name == "model.safetensors");
  }
  const auto hub = hub::Hub::Create(hub::LocalOptions(local, dir_ + "/cache")).value();
  ModelRegistry registry({.hub = hub.get()});
  EXPECT_TRUE(registry.IsRemote(hub::kTestRepo).value());
  const ModelListing remote = registry.DescribeRemote(hub::kTestRepo, {}).value();
  EXPECT_THAT(local.storage_requests(), ElementsAre());
  ASSERT_TRUE(remote.outline.has_value());

  const auto files = registry.Open(hub::kTestRepo).value();
  EXPECT_EQ(remote.name, files->name());
  EXPECT_EQ(remote.revision, files->revision());
  EXPECT_EQ(remote.outline->spec.n_layers, files->spec().n_layers);
  EXPECT_EQ(remote.outline->spec.max_positions, files->spec().max_positions);
  EXPECT_EQ(remote.outline->tokenizer->size(), files->tokenizer()->size());
  EXPECT_EQ(remote.outline->weight_bytes, fs::file_size(std::string(kDemoModel) + "/model.safetensors"));
  EXPECT_FALSE(registry.IsRemote(hub::kTestRepo).value());
  EXPECT_EQ(registry.DescribeRemote(hub::kTestRepo, {})->files, files) << "downloaded meanwhile";
}

TEST_F(HubModelsTest, OfAModelAtTheHubWhatIsMissingOrNotSupportedIsSaid) {
  hub::LocalHub local;
  local.Put("config.json", BytesOf(std::string(kDemoModel) + "/config.json"));
  local.Put("model.safetensors", "weights", /*is_large=*/true);
  const auto hub = hub::Hub::Create(hub::LocalOptions(local, dir_ + "/cache")).value();
  ModelRegistry registry({.hub = hub.get()});
  const ModelListing bare = registry.DescribeRemote(hub::kTestRepo, {}).value();
  EXPECT_EQ(bare.outline->tokenizer, nullptr);
  EXPECT_THAT(bare.outline->tokenizer_problem, HasSubstr("no tokenizer.json"));

  local.PutRevision("other", kSecond);
  local.Put("config.json", R"({"model_type": "bert"})", false, kSecond);
  local.Put("model.safetensors", "weights", true, kSecond);
  const absl::Status status = registry.DescribeRemote("org/model@other", {}).status();
  EXPECT_EQ(ReasonOf(status), reason::kUnsupportedModel);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("model org/model@other: "), HasSubstr("bert")));
}

TEST_F(HubModelsTest, ADownloadEndsWhenItIsStopped) {
  hub::LocalHub local;
  local.PutModel();
  const auto hub = hub::Hub::Create(hub::LocalOptions(local, dir_ + "/cache")).value();
  ModelRegistry registry({.hub = hub.get()});
  std::stop_source stop;
  const auto on_step = [&](const PreparationStep& step) {
    if (step.what.starts_with("downloading")) stop.request_stop();
  };
  EXPECT_EQ(registry.Open(hub::kTestRepo, on_step, stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace induct::models
