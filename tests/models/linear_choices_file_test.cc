#include "server/models/linear_choices_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "server/hub/file_lock.h"

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
            "4": {"product": "fast", "fuses_activation": false, "gflops": 1},
            "5": {"product": "aten", "fuses_activation": false, "gflops": 0},
            "6": {"product": "aten", "fuses_activation": false, "gflops": -2}})");
  LinearChoicesFile file(path_);
  EXPECT_TRUE(file.Find("good"));
  for (const char* const key : {"1", "2", "3", "4", "5", "6"}) EXPECT_FALSE(file.Find(key)) << key;
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

TEST_F(LinearChoicesFileTest, ServersThatShareItAddToEachOther) {
  LinearChoicesFile first(path_), second(path_);
  EXPECT_FALSE(first.Find("of the second"));
  EXPECT_FALSE(second.Find("of the first"));
  first.Keep("of the first", choice_);
  second.Keep("of the second", choice_);
  EXPECT_TRUE(first.Find("of the second"));
  EXPECT_TRUE(second.Find("of the first"));
  LinearChoicesFile third(path_);
  EXPECT_TRUE(third.Find("of the first"));
  EXPECT_TRUE(third.Find("of the second"));
}

TEST_F(LinearChoicesFileTest, ManyWritersLoseNothing) {
  constexpr int kWriters = 4, kKeys = 10;
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([this, i] {
      LinearChoicesFile file(path_);
      for (int j = 0; j < kKeys; ++j) file.Keep(absl::StrCat(i, " ", j), choice_);
    });
  }
  for (std::thread& writer : writers) writer.join();
  LinearChoicesFile file(path_);
  for (int i = 0; i < kWriters; ++i) {
    for (int j = 0; j < kKeys; ++j) EXPECT_TRUE(file.Find(absl::StrCat(i, " ", j))) << i << " " << j;
  }
}

TEST_F(LinearChoicesFileTest, WhatIsNoRegularFileIsLeftAlone) {
  std::filesystem::create_directories(folder_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  LinearChoicesFile file(path_);
  EXPECT_FALSE(file.Find("key"));  // and nobody waits for a writer
  file.Keep("key", choice_);
  EXPECT_TRUE(file.Find("key"));
  EXPECT_TRUE(std::filesystem::is_fifo(path_));
}

TEST_F(LinearChoicesFileTest, AFileThatCannotBeWrittenWarnsOnce) {
  Write("a file, no folder");
  InitLogging(LogLevel::kWarning, LogFormat::kText);
  testing::internal::CaptureStderr();
  LinearChoicesFile file(path_ + "/linear_choices.json");
  for (const char* const key : {"1", "2", "3"}) file.Keep(key, choice_);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
}

TEST_F(LinearChoicesFileTest, ALockThatIsNotGivenUpIsNotWaitedForLong) {
  std::filesystem::create_directories(folder_);
  const auto held = hub::FileLock::TryAcquire(path_ + ".lock");
  ASSERT_TRUE(held);
  LinearChoicesFile file(path_);
  file.Keep("key", choice_);
  EXPECT_TRUE(file.Find("key"));
  EXPECT_FALSE(std::filesystem::exists(path_));
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
