#include "server/models/model_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/status.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kDemoModels[] = INDUCT_SOURCE_DIR "/deploy/demo_models";

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
  ModelRegistry registry({kDemoModels, dir_});
  for (const std::string& name :
       {std::string("demo-small"), std::string("alpha"), std::string("org/beta"), dir_ + "/alpha"}) {
    EXPECT_TRUE(registry.CheckExists(name).ok()) << name;
  }
}

TEST_F(RegistryTest, NamesThatLeaveTheModelDirectoriesAreNotFound) {
  ModelRegistry registry({dir_ + "/org"});
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
  ModelRegistry registry({dir_});
  EXPECT_THAT(std::string(registry.CheckExists("alpah").message()), HasSubstr("did you mean alpha?"));
}

TEST_F(RegistryTest, AMissingModelDirectoryIsNamed) {
  ModelRegistry registry({dir_ + "/nowhere"});
  EXPECT_THAT(registry.DirectoryProblems(),
              ::testing::ElementsAre(HasSubstr(dir_ + "/nowhere: No such file or directory")));
  EXPECT_THAT(std::string(registry.CheckExists("alpha").message()),
              HasSubstr(dir_ + "/nowhere: No such file"));
  EXPECT_THAT(ModelRegistry({dir_}).DirectoryProblems(), ::testing::IsEmpty());
}

TEST_F(RegistryTest, APathAndANameAreOneModel) {
  ModelRegistry registry({dir_});
  const auto by_name = registry.Open("alpha").value();
  EXPECT_EQ(registry.Open(dir_ + "/alpha").value(), by_name);
}

TEST_F(RegistryTest, ListsBrokenModelsWithTheirProblem) {
  Copy("demo-small", "broken");
  fs::resize_file(dir_ + "/broken/model.safetensors", 1000);
  ModelRegistry registry({dir_});
  const auto listings = registry.List();
  ASSERT_EQ(listings.size(), 3);
  EXPECT_EQ(listings[0].name, "alpha");
  EXPECT_EQ(listings[0].problem, "");
  EXPECT_EQ(listings[1].name, "broken");
  EXPECT_EQ(listings[1].files, nullptr);
  EXPECT_THAT(listings[1].problem, HasSubstr("model.safetensors"));
  EXPECT_EQ(listings[2].name, "org/beta");
}

TEST_F(RegistryTest, TwoRequestsAtOnceLoadOneModel) {
  ModelRegistry registry({dir_});
  std::vector<std::shared_ptr<engine::Model>> loaded(8);
  {
    std::vector<std::jthread> threads;
    for (auto& model : loaded)
      threads.emplace_back([&] { model = registry.Load(registry.Open("alpha").value(), {}, {}).value(); });
  }
  for (const auto& model : loaded) EXPECT_EQ(model, loaded[0]);
  EXPECT_EQ(registry.Describe("alpha")->resident_bytes, static_cast<uint64_t>(loaded[0]->resident_bytes()));
  EXPECT_EQ(registry.Describe("org/beta")->resident_bytes, 0);
}

TEST_F(RegistryTest, DtypesAreDifferentResidentsAndStreamedModelsAreNone) {
  ModelRegistry registry({dir_});
  const auto files = registry.Open("alpha").value();
  const auto full = registry.Load(files, {}, {}).value();
  const auto half = registry.Load(files, {.dtype = DType::kBFloat16}, {}).value();
  EXPECT_NE(full, half);
  EXPECT_LT(half->resident_bytes(), full->resident_bytes());
  const auto streamed = registry.Load(files, {.stream_layers = true}, {}).value();
  EXPECT_NE(streamed, full);
  EXPECT_NE(streamed, registry.Load(files, {.stream_layers = true}, {}).value());
}

TEST_F(RegistryTest, ACheckpointThatChangedOnDiskIsReadAgain) {
  ModelRegistry registry({dir_});
  const auto before = registry.Open("alpha").value();
  EXPECT_EQ(registry.Open("alpha").value(), before);
  const auto old_model = registry.Load(before, {}, {}).value();
  Copy("demo-large", "alpha");
  const auto after = registry.Open("alpha").value();
  EXPECT_NE(after->spec().n_layers, before->spec().n_layers);
  EXPECT_NE(registry.Load(after, {}, {}).value(), old_model);
}

TEST_F(RegistryTest, AStopWhileLoadingIsCancelledAndTheNextLoadWorks) {
  ModelRegistry registry({dir_});
  const auto files = registry.Open("alpha").value();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(registry.Load(files, {}, stop.get_token()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(registry.Load(files, {}, {}).ok());
}

}  // namespace
}  // namespace induct::models
