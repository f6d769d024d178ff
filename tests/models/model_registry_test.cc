#include "server/models/model_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/time/clock.h"
#include "common/status.h"
#include "tests/metrics/told.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kDemoModels[] = INDUCT_SOURCE_DIR "/deploy/demo_models";

ModelHandle Load(ModelRegistry& registry, const std::shared_ptr<const ModelFiles>& files,
                 const engine::LoadOptions& options = {}) {
  return registry.Load(files, options, WhenFull::kWait, {}, {}).value();
}

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/registry.XXXXXX";
    dir_ = mkdtemp(pattern.data());
    Copy("demo-small", "alpha");
    Copy("demo-small", "org/beta");
  }
  void TearDown() override { fs::remove_all(dir_); }

  void Copy(const std::string& demo, const std::string& name) const {
    fs::create_directories(dir_ + "/" + name);
    fs::copy(std::string(kDemoModels) + "/" + demo, dir_ + "/" + name,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }

  std::string dir_;
};

TEST_F(RegistryTest, ModelsAreFoundByNameByOrgAndNameAndByTheirPath) {
  ModelRegistry registry({.model_dirs = {kDemoModels, dir_}});
  for (const std::string& name :
       {std::string("demo-small"), std::string("alpha"), std::string("org/beta"), dir_ + "/alpha"}) {
    EXPECT_TRUE(registry.CheckExists(name).ok()) << name;
  }
}

TEST_F(RegistryTest, NamesThatLeaveTheModelDirectoriesAreNotFound) {
  ModelRegistry registry({.model_dirs = {dir_ + "/org"}});
  Copy("demo-small", "elsewhere");
  for (const std::string& name :
       {std::string("../alpha"), std::string("beta/../../alpha"), std::string(".."), std::string("."),
        std::string(""), dir_ + "/elsewhere", dir_ + "/org/../elsewhere", std::string("beta/"),
        std::string("beta\0x", 6)}) {
    const absl::Status status = registry.CheckExists(name);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << name;
    EXPECT_EQ(ReasonOf(status), reason::kModelNotFound) << name;
  }
}

TEST_F(RegistryTest, AnUnknownNameNamesTheNearest) {
  ModelRegistry registry({.model_dirs = {dir_}});
  EXPECT_THAT(std::string(registry.CheckExists("alpah").message()), HasSubstr("did you mean alpha?"));
}

TEST_F(RegistryTest, AMissingModelDirectoryIsNamed) {
  ModelRegistry registry({.model_dirs = {dir_ + "/nowhere"}});
  EXPECT_THAT(registry.DirectoryProblems(),
              ::testing::ElementsAre(HasSubstr(dir_ + "/nowhere: No such file or directory")));
  EXPECT_THAT(std::string(registry.CheckExists("alpha").message()),
              HasSubstr(dir_ + "/nowhere: No such file"));
  EXPECT_THAT(ModelRegistry({.model_dirs = {dir_}}).DirectoryProblems(), ::testing::IsEmpty());
}

TEST_F(RegistryTest, APathAndANameAreOneModel) {
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto by_name = registry.Open("alpha").value();
  EXPECT_EQ(registry.Open(dir_ + "/alpha").value(), by_name);
}

TEST_F(RegistryTest, ARelativePathIsFoundWhereTheClientsFolderIsKnown) {
  ModelRegistry registry({.model_dirs = {dir_}, .client_dir = dir_ + "/org"});
  const auto beta = registry.Open("org/beta").value();
  for (const char* path : {"./beta", "./beta/", "../org/beta", "./././beta", "beta/../beta"}) {
    EXPECT_EQ(registry.Open(path).value(), beta) << path;
  }
  EXPECT_EQ(registry.Open("../alpha/").value(), registry.Open("alpha").value());
  Copy("demo-small", "org/deep/er");
  for (const char* path : {"./deep/er", "../../x", "./nothing", "../", "./"}) {
    const absl::Status status = registry.CheckExists(path);
    EXPECT_EQ(ReasonOf(status), reason::kModelNotFound) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("in the server's model_dirs")) << path;
  }
}

TEST_F(RegistryTest, APathMayLeadThroughFoldersWithAnAtSign) {
  Copy("demo-small", "a@b/c@d");
  ModelRegistry registry({.model_dirs = {dir_ + "/a@b"}, .client_dir = dir_ + "/a@b"});
  for (const std::string& path : {dir_ + "/a@b/c@d/", std::string("./c@d"), std::string("./c@d/")}) {
    EXPECT_TRUE(registry.CheckExists(path).ok()) << path;
  }
}

TEST_F(RegistryTest, ASharedServerRefusesRelativePathsSayingSo) {
  ModelRegistry registry({.model_dirs = {dir_}});
  for (const char* path : {"./alpha", "../alpha", "org/../alpha", "org/beta/"}) {
    const absl::Status status = registry.CheckExists(path);
    EXPECT_EQ(ReasonOf(status), reason::kModelNotFound) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("means nothing to a server that others share"));
  }
  EXPECT_TRUE(registry.CheckExists(dir_ + "/alpha/").ok());
}

TEST_F(RegistryTest, ListsBrokenModelsWithTheirProblem) {
  Copy("demo-small", "broken");
  fs::resize_file(dir_ + "/broken/model.safetensors", 1000);
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto listings = registry.List();
  ASSERT_EQ(listings.size(), 3);
  EXPECT_EQ(listings[0].name, "alpha");
  EXPECT_EQ(listings[0].problem, "");
  EXPECT_EQ(listings[1].name, "broken");
  EXPECT_EQ(listings[1].files, nullptr);
  EXPECT_THAT(listings[1].problem, HasSubstr("model.safetensors"));
  EXPECT_EQ(listings[2].name, "org/beta");
}

TEST_F(RegistryTest, DtypesAreCopiesOfTheirOwnAndStreamedModelsTheCallersAlone) {
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto files = registry.Open("alpha").value();
  const ModelHandle full = Load(registry, files);
  const ModelHandle same = Load(registry, files);
  EXPECT_EQ(&*same, &*full);
  const ModelHandle half = Load(registry, files, {.dtype = DType::kBFloat16});
  EXPECT_NE(&*half, &*full);
  EXPECT_LT(half->resident_bytes(), full->resident_bytes());
  const ModelHandle streamed = Load(registry, files, {.stream_layers = true});
  EXPECT_TRUE(streamed.streamed());
  EXPECT_FALSE(full.streamed());
  EXPECT_NE(&*streamed, &*Load(registry, files, {.stream_layers = true}));
}

TEST_F(RegistryTest, WhatIsReadForStreamedLayersIsTold) {
  metrics::Told told;
  ModelRegistry registry({.model_dirs = {kDemoModels}, .recorder = &told});
  const auto files = registry.Open("demo-small").value();
  const std::vector<int32_t> tokens = {1, 2, 3, 1, 2, 3};
  engine::Pass pass{.prompts = {{.tokens = tokens, .targets = {}}}};
  pass.on_layer = [](const engine::LayerReadout&) { return absl::OkStatus(); };
  ASSERT_TRUE(Load(registry, files)->Run(pass, {}).ok());
  EXPECT_EQ(told.sum("streamed"), 0);
  ASSERT_TRUE(Load(registry, files, {.stream_layers = true})->Run(pass, {}).ok());
  // Everything but the last layer's output and MLP, the final norm and the unembedding.
  EXPECT_GT(told.sum("streamed"), files->checkpoint().stored_bytes() / 2);
  EXPECT_LT(told.sum("streamed"), files->checkpoint().stored_bytes());
}

TEST_F(RegistryTest, AListingTellsWhatIsLoaded) {
  ModelRegistry registry({.model_dirs = {dir_}});
  EXPECT_EQ(registry.Describe("alpha")->state, ModelState::kUnloaded);
  EXPECT_EQ(registry.Describe("alpha")->load_seconds, 0);
  {
    const ModelHandle model = Load(registry, registry.Open("alpha").value());
    const ModelListing listing = registry.Describe(dir_ + "/alpha").value();
    EXPECT_EQ(listing.name, "alpha");
    EXPECT_EQ(listing.state, ModelState::kAvailable);
    EXPECT_EQ(listing.n_pins, 1);
    EXPECT_GT(listing.load_seconds, 0);
    // Output weights, which a profile does not load, are reserved as well.
    EXPECT_GT(listing.resident_bytes, static_cast<uint64_t>(model->resident_bytes()));
    EXPECT_EQ(listing.resident_bytes, 4 * static_cast<uint64_t>(listing.files->checkpoint().n_parameters()));
    EXPECT_EQ(registry.Describe("org/beta")->resident_bytes, 0);
  }
  EXPECT_EQ(registry.Describe("alpha")->n_pins, 0);
  EXPECT_LT(absl::Now() - registry.Describe("alpha")->last_use, absl::Minutes(1));
}

TEST_F(RegistryTest, UnloadTakesAnyOfTheNames) {
  ModelRegistry registry({.model_dirs = {dir_}});
  {
    const ModelHandle model = Load(registry, registry.Open("alpha").value());
    EXPECT_EQ(ReasonOf(registry.Unload("alpha")), reason::kModelInUse);
  }
  EXPECT_TRUE(registry.Unload(dir_ + "/alpha").ok());
  EXPECT_EQ(registry.Describe("alpha")->state, ModelState::kUnloaded);
  EXPECT_TRUE(registry.Unload("alpha").ok());
  EXPECT_EQ(registry.Unload("gamma").code(), absl::StatusCode::kNotFound);
}

TEST_F(RegistryTest, AModelBeyondTheBudgetIsStreamedOrRefusedInMegabytes) {
  const auto bytes =
      WeightBytesOf(ModelRegistry({.model_dirs = {dir_}}).Open("alpha").value()->spec(), DType::kFloat32);
  ModelRegistry roomy({.model_dirs = {dir_}, .budgets = {{"cpu", bytes.whole}}});
  EXPECT_FALSE(Load(roomy, roomy.Open("alpha").value()).streamed());
  ModelRegistry tight({.model_dirs = {dir_}, .budgets = {{"cpu", bytes.whole - 1}}});
  EXPECT_TRUE(Load(tight, tight.Open("alpha").value()).streamed());
  ModelRegistry tiny({.model_dirs = {dir_}, .budgets = {{"cpu", bytes.streamed - 1}}});
  const absl::Status status = tiny.Load(tiny.Open("alpha").value(), {}, WhenFull::kWait, {}, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), reason::kModelTooLarge);
  EXPECT_THAT(std::string(status.message()), HasSubstr("MB allowed"));
}

TEST_F(RegistryTest, WhatIsNotAllowedIsNeitherServedNorListed) {
  ModelRegistry registry({.model_dirs = {dir_}, .allow_models = {"org/*"}});
  EXPECT_TRUE(registry.CheckExists("org/beta").ok());
  EXPECT_TRUE(registry.CheckExists(dir_ + "/org/beta").ok());
  for (const std::string& name : {std::string("alpha"), dir_ + "/alpha"}) {
    const absl::Status status = registry.CheckExists(name);
    EXPECT_EQ(ReasonOf(status), reason::kModelNotAllowed);
    EXPECT_THAT(std::string(status.message()), HasSubstr("allow_models allows: org/*"));
  }
  ASSERT_EQ(registry.List().size(), 1);
  EXPECT_EQ(registry.List()[0].name, "org/beta");
}

TEST_F(RegistryTest, FoldersHaveNoRevisions) {
  ModelRegistry registry({.model_dirs = {dir_}});
  const absl::Status status = registry.CheckExists("alpha@step3000");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("folders have no revisions"));
  Copy("demo-small", "alpha@step3000");  // unless the folder itself is called so
  EXPECT_TRUE(registry.CheckExists("alpha@step3000").ok());
}

TEST_F(RegistryTest, AShortNameFindsTheFolderOfTheFullOne) {
  Copy("demo-small", "EleutherAI/pythia-14m");
  ModelRegistry registry({.model_dirs = {dir_}});
  EXPECT_EQ(registry.Open("pythia-14m").value(), registry.Open("EleutherAI/pythia-14m").value());
}

TEST_F(RegistryTest, ModelsWithTheSameTokenizerShareIt) {
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto alpha = registry.Open("alpha").value(), beta = registry.Open("org/beta").value();
  EXPECT_NE(alpha, beta);
  EXPECT_EQ(alpha->tokenizer(), beta->tokenizer());
}

TEST_F(RegistryTest, ATokenizerOfAnUnknownKindLeavesTheModelUsable) {
  std::ofstream(dir_ + "/alpha/tokenizer.json") << R"({"model": {"type": "Unigram", "vocab": []}})";
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto files = registry.Open("alpha").value();
  EXPECT_EQ(files->tokenizer(), nullptr);
  EXPECT_THAT(files->tokenizer_problem(), HasSubstr("Unigram"));
  std::ofstream(dir_ + "/alpha/tokenizer.json") << "{";
  EXPECT_EQ(ReasonOf(registry.Open("alpha").status()), reason::kBadCheckpoint);
}

TEST_F(RegistryTest, ACheckpointThatChangedOnDiskIsReadAgain) {
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto before = registry.Open("alpha").value();
  EXPECT_EQ(registry.Open("alpha").value(), before);
  std::optional<ModelHandle> old_model = Load(registry, before);
  Copy("demo-large", "alpha");
  const auto after = registry.Open("alpha").value();
  EXPECT_NE(after->spec().n_layers, before->spec().n_layers);
  const ModelHandle new_model = Load(registry, after);
  EXPECT_EQ(new_model->spec().n_layers, after->spec().n_layers);
  EXPECT_EQ((*old_model)->spec().n_layers, before->spec().n_layers);
  const uint64_t both = registry.Describe("alpha")->resident_bytes;
  old_model.reset();  // nobody will ask for it again
  EXPECT_LT(registry.Describe("alpha")->resident_bytes, both);
}

TEST_F(RegistryTest, AStopWhileLoadingIsCancelledAndTheNextLoadWorks) {
  ModelRegistry registry({.model_dirs = {dir_}});
  const auto files = registry.Open("alpha").value();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(registry.Load(files, {}, WhenFull::kWait, {}, stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
  Load(registry, files);
}

}  // namespace
}  // namespace induct::models
