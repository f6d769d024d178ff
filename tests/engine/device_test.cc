#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/status.h"
#include "server/engine/engine.h"
#include "server/engine/host_memory.h"

namespace induct::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(DeviceTest, AutoIsADeviceThatIsThere) {
  const absl::StatusOr<std::string> device = ResolveDevice("auto");
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(*device, at::hasCUDA() ? "cuda:0" : "cpu");
  EXPECT_FALSE(DeviceDescription(*device).empty());
}

TEST(DeviceTest, ADeviceThatIsNotThereIsAnErrorThatNamesAutoAndCpu) {
  const absl::Status status = ResolveDevice("cuda:99").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("cuda:99"), HasSubstr("auto"), HasSubstr("cpu")));
}

TEST(DeviceTest, NamesThatAreNoDeviceAreRefused) {
  for (const char* name : {"", "CPU", "cuda:", "cuda:-1", "cuda:x", "cuda1", "cpu:0", "cuda:99999999999"}) {
    const absl::Status status = ResolveDevice(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(FieldOf(status), "device") << name;
  }
}

TEST(DeviceTest, ThreadsAreSetForTheWholeProcess) {
  const int before = at::get_num_threads();
  SetThreads(before + 1);
  int in_another_thread = 0;
  std::thread([&] { in_another_thread = at::get_num_threads(); }).join();
  SetThreads(before);
  EXPECT_EQ(in_another_thread, before + 1);
}

// A folder that stands for the machine's root, with the files that say how much memory there is.
class HostMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/host_memory.XXXXXX";
    root_ = mkdtemp(pattern.data());
    Write("proc/meminfo", "MemFree: 5 kB\nMemTotal:       16000 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = std::filesystem::path(root_) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::string root_;
};

TEST_F(HostMemoryTest, WithoutControlGroupsItIsTheMachines) {
  EXPECT_EQ(ReadHostMemory(root_).total, 16'384'000);
  Write("proc/meminfo", "nothing\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 0);
}

TEST_F(HostMemoryTest, TheLowestLimitOfAVersion2GroupAndThoseAroundItCounts) {
  Write("proc/self/cgroup", "0::/system.slice/induct.service\n");
  Write("sys/fs/cgroup/system.slice/induct.service/memory.max", "max\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 16'384'000);
  Write("sys/fs/cgroup/system.slice/memory.max", "9000000\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 9'000'000);
  Write("sys/fs/cgroup/system.slice/induct.service/memory.max", "8000000\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 8'000'000);
  Write("sys/fs/cgroup/memory.max", "7000000\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 7'000'000);
}

TEST_F(HostMemoryTest, AVersion1LimitCountsAlsoWhereTheContainerHidesTheGroupsPath) {
  Write("proc/self/cgroup", "5:cpu,cpuacct:/docker/7\n4:memory:/docker/7\n0::/docker/7\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 16'384'000);
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "6000000\n");
  EXPECT_EQ(ReadHostMemory(root_).total, 6'000'000);
}

TEST_F(HostMemoryTest, WhatTheMachineCanGiveBackIsNotInUse) {
  EXPECT_EQ(ReadHostMemory(root_).used, 0);  // not known
  Write("proc/meminfo", "MemTotal:       16000 kB\nMemFree: 5 kB\nMemAvailable:   4000 kB\n");
  EXPECT_EQ(ReadHostMemory(root_).used, 12'288'000);
}

TEST_F(HostMemoryTest, OfAGroupWithALimitItIsTheGroupsMemoryThatIsInUse) {
  Write("proc/meminfo", "MemTotal:       16000 kB\nMemAvailable:   4000 kB\n");
  Write("proc/self/cgroup", "0::/induct\n");
  Write("sys/fs/cgroup/induct/memory.current", "5000000\n");
  Write("sys/fs/cgroup/induct/memory.stat", "anon 3000000\ninactive_file 1500000\n");
  EXPECT_EQ(ReadHostMemory(root_).used, 12'288'000);  // it has no limit
  Write("sys/fs/cgroup/induct/memory.max", "8000000\n");
  EXPECT_EQ(ReadHostMemory(root_).used, 3'500'000);

  Write("proc/self/cgroup", "4:memory:/induct\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "6000000\n");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "2000000\n");
  Write("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 500000\n");
  EXPECT_EQ(ReadHostMemory(root_).used, 1'500'000);
}

TEST(DeviceTest, MemoryIsKnownOfDevicesThatAreThere) {
  EXPECT_GT(DeviceMemoryBytes("cpu"), int64_t{64} << 20);
  EXPECT_EQ(DeviceMemoryBytes("cuda:99"), 0);
  EXPECT_EQ(DeviceMemoryBytes("tpu"), 0);
  EXPECT_EQ(DeviceMemoryBytes("cuda") > 0, at::hasCUDA());
  EXPECT_GT(DeviceMemoryInUse("cpu"), int64_t{1} << 20);
  EXPECT_LT(DeviceMemoryInUse("cpu"), DeviceMemoryBytes("cpu"));
  EXPECT_EQ(DeviceMemoryInUse("cuda:99"), 0);
  EXPECT_EQ(DeviceMemoryInUse("cuda") > 0, at::hasCUDA());
}

TEST(DeviceTest, VersionHasThreeNumbers) {
  EXPECT_THAT(LibTorchVersion(), testing::ContainsRegex("^[0-9]+\\.[0-9]+\\.[0-9]+"));
}

}  // namespace
}  // namespace induct::engine
