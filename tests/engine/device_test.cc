#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/status.h"
#include "server/engine/engine.h"

namespace induct::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(DeviceTest, AutoIsADeviceThatIsThere) {
  const absl::StatusOr<std::string> device = ResolveDevice("auto");
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(*device, at::hasCUDA() ? "cuda" : "cpu");
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

TEST(DeviceTest, VersionHasThreeNumbers) {
  EXPECT_THAT(LibTorchVersion(), testing::ContainsRegex("^[0-9]+\\.[0-9]+\\.[0-9]+"));
}

}  // namespace
}  // namespace induct::engine
