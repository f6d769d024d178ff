#include "common/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace induct {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/atomic_file.XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(dir_); }

  size_t FilesInDir() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()));
  }

  std::string dir_;
};

TEST_F(AtomicFile, ReplacesTheOldFileWhole) {
  const std::string path = dir_ + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "old and long").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "new").ok());
  EXPECT_EQ(ReadFile(path).value(), "new");
  EXPECT_EQ(FilesInDir(), 1);
}

TEST_F(AtomicFile, AMissingFolderIsAnErrorThatNamesThePath) {
  const absl::Status status = WriteFileAtomically(dir_ + "/none/file", "x");
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(dir_ + "/none/file"));
}

// A write that ends in the middle, as on a full disk: a limit on the size of files does the same to write(2).
TEST_F(AtomicFile, AFailedWriteKeepsTheOldFileAndLeavesNoOther) {
  const std::string path = dir_ + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status status = WriteFileAtomically(path, std::string(8192, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(ReadFile(path).value(), "old");
  EXPECT_EQ(FilesInDir(), 1);
}

TEST_F(AtomicFile, ReadingHasALimit) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/file", std::string(100, 'x')).ok());
  EXPECT_EQ(ReadFile(dir_ + "/file", 99).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFile(dir_ + "/file", 100).value().size(), 100);
  EXPECT_EQ(ReadFile(dir_ + "/none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace induct
