#include "server/models/linear_choices_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace induct::models {
namespace {

class LinearChoicesFileTest : public testing::Test {
 protected:
  LinearChoicesFileTest() { std::filesystem::remove_all(folder_); }
  ~LinearChoicesFileTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& text) const {
    std::filesystem::create_directories(folder_);
    std::ofstream(path_) << text;
  }

  const std::string folder_ = testing::TempDir() + "/linear_choices_test";
  const std::string path_ = folder_ + "/linear_choices.json";
  const engine::LinearChoice choice_ = {
      .method = {.product = engine::LinearProduct::kOneDnnPacked, .fuses_activation = true},
      .gflops = 471.25};
};

TEST_F(LinearChoicesFileTest, AnotherProcessFindsWhatWasKept) {
  const std::string path = folder_ + "/not/there/yet/linear_choices.json";
  LinearChoicesFile(path).Keep("a key; with \"quotes\"", choice_);
  LinearChoicesFile file(path);
  const auto found = file.Find("a key; with \"quotes\"");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->method, choice_.method);
  EXPECT_EQ(found->gflops, choice_.gflops);
  EXPECT_FALSE(file.Find("another key"));
}

TEST_F(LinearChoicesFileTest, WhatIsNoChoiceIsPassedOver) {
  Write(R"({"good": {"product": "aten", "fuses_activation": false, "gflops": 1},
            "1": 1, "2": {"product": "fast"}, "3": {"product": 1, "fuses_activation": 2, "gflops": "x"},
            "4": {"product": "fast", "fuses_activation": false, "gflops": 1}})");
  LinearChoicesFile file(path_);
  EXPECT_TRUE(file.Find("good"));
  for (const char* const key : {"1", "2", "3", "4"}) EXPECT_FALSE(file.Find(key)) << key;
}

TEST_F(LinearChoicesFileTest, ABrokenFileIsReplaced) {
  for (const char* const text : {"", "{\"half", "[1, 2]"}) {
    Write(text);
    LinearChoicesFile file(path_);
    EXPECT_FALSE(file.Find("key"));
    file.Keep("key", choice_);
    EXPECT_TRUE(LinearChoicesFile(path_).Find("key"));
  }
}

TEST_F(LinearChoicesFileTest, AFolderThatCannotBeMadeIsNoError) {
  Write("a file, no folder");
  LinearChoicesFile file(path_ + "/linear_choices.json");
  file.Keep("key", choice_);
  EXPECT_TRUE(file.Find("key"));
}

TEST(LinearChoicesPath, LiesInTheUsersCache) {
  const auto with = [](const char* cache, const char* home) {
    const std::string old_cache = std::getenv("XDG_CACHE_HOME") ? std::getenv("XDG_CACHE_HOME") : "";
    const std::string old_home = std::getenv("HOME") ? std::getenv("HOME") : "";
    setenv("XDG_CACHE_HOME", cache, 1);
    setenv("HOME", home, 1);
    const std::string path = LinearChoicesPath();
    setenv("XDG_CACHE_HOME", old_cache.c_str(), 1);
    setenv("HOME", old_home.c_str(), 1);
    return path;
  };
  EXPECT_EQ(with("/c", "/h"), "/c/induct/linear_choices.json");
  EXPECT_EQ(with("", "/h"), "/h/.cache/induct/linear_choices.json");
  EXPECT_EQ(with("", ""), "");
}

}  // namespace
}  // namespace induct::models
