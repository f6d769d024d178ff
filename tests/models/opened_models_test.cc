#include "server/models/opened_models.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace induct::models {
namespace {

namespace fs = std::filesystem;

class OpenedModelsTest : public ::testing::Test {
 protected:
  OpenedModelsTest() {
    std::string pattern = testing::TempDir() + "/opened.XXXXXX";
    dir_ = mkdtemp(pattern.data());
    for (const char* name : {"a", "b", "c"}) {
      fs::copy(INDUCT_SOURCE_DIR "/deploy/demo_models/demo-small", dir_ + "/" + name,
               fs::copy_options::recursive);
    }
  }
  ~OpenedModelsTest() override { fs::remove_all(dir_); }

  std::shared_ptr<const ModelFiles> Open(const std::string& name) {
    return opened_.Open({.name = name, .directory = dir_ + "/" + name}).value();
  }

  std::string dir_;
  OpenedModels opened_{2};
};

TEST_F(OpenedModelsTest, TheLastOnesAreKeptAndOthersGo) {
  const std::weak_ptr<const ModelFiles> a = Open("a"), b = Open("b");
  Open("a");
  const std::weak_ptr<const ModelFiles> c = Open("c");
  EXPECT_FALSE(a.expired());
  EXPECT_TRUE(b.expired());
  EXPECT_FALSE(c.expired());
}

TEST_F(OpenedModelsTest, WhatSomebodyUsesStaysOneObject) {
  const auto a = Open("a");
  Open("b");
  Open("c");
  EXPECT_EQ(Open("a"), a);
}

TEST_F(OpenedModelsTest, ATokenizerGoesWithItsLastModel) {
  TokenizerCache tokenizers;
  auto first = ModelFiles::Open({.name = "a", .directory = dir_ + "/a"}, tokenizers).value();
  auto second = ModelFiles::Open({.name = "b", .directory = dir_ + "/b"}, tokenizers).value();
  const checkpoint::Tokenizer* shared = first->tokenizer();
  first.reset();
  EXPECT_EQ(second->tokenizer(), shared);
  EXPECT_EQ(ModelFiles::Open({.name = "a", .directory = dir_ + "/a"}, tokenizers).value()->tokenizer(),
            shared);
}

}  // namespace
}  // namespace induct::models
