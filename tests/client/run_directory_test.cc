#include "client/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "client/exit_code.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1767322984);  // 2026-01-02 03:03:04 UTC

absl::StatusOr<RunDirectory> Prepare(const TemporaryFolder& folder) {
  return RunDirectory::Prepare(folder.path() + "/outputs", "profile", "m", kNow, absl::UTCTimeZone());
}

TEST(RunDirectoryTest, AppearsWithItsFirstFileUnderTimeCommandAndModel) {
  const TemporaryFolder folder;
  auto directory = Prepare(folder);
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_THAT(RunDirectories(folder.path()), testing::IsEmpty());
  ASSERT_TRUE(directory->Write("a.txt", "x").ok());
  EXPECT_EQ(RunDirectories(folder.path()),
            std::vector<std::string>{folder / "outputs/runs/20260102-030304-profile-m"});
  EXPECT_EQ(FileBytes(directory->path() + "/a.txt"), "x");
}

TEST(RunDirectoryTest, RunsOfOneSecondNeverShareAFolder) {
  const TemporaryFolder folder;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&folder, i] {
      auto directory = Prepare(folder);
      EXPECT_TRUE(directory->Write("who", std::to_string(i)).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> writers;
  std::set<std::string> names;
  for (const std::string& path : RunDirectories(folder.path())) {
    writers.insert(FileBytes(path + "/who"));
    names.insert(path.substr(path.rfind('/') + 1));
  }
  EXPECT_EQ(writers.size(), 8u);
  EXPECT_TRUE(names.contains("20260102-030304-profile-m") && names.contains("20260102-030304-profile-m-8"));
}

TEST(RunDirectoryTest, WhatCannotBeWrittenIsNamedWithExitCode4) {
  const TemporaryFolder folder;
  auto directory = Prepare(folder);
  ASSERT_TRUE(directory.ok());
  const absl::Status status = directory->Write("no/such/folder", "x");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kOutput);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("no/such/folder"));
  EXPECT_THAT(RunDirectories(folder.path()), testing::IsEmpty()) << "an empty run directory stayed";
  EXPECT_EQ(ExitCodeOf(MakeFolders("/proc/none/x")), ExitCode::kOutput);
}

}  // namespace
}  // namespace induct::client
