#include "server/metrics/device_activity.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"

namespace induct::metrics {
namespace {

// Reads until the device has been busy for longer than that, some seconds at most.
absl::Duration AwaitBusier(const DeviceActivity& activity, absl::Duration than) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (activity.Read()[0].busy <= than && absl::Now() < deadline) {
  }
  const absl::Duration busy = activity.Read()[0].busy;
  EXPECT_GT(busy, than);
  return busy;
}

TEST(DeviceActivityTest, BusyTimeAdvancesWhileAJobRunsAndStandsStillBetweenJobs) {
  DeviceActivity activity(1);
  EXPECT_EQ(activity.Read()[0].busy, absl::ZeroDuration());
  activity.Start(0, "profile");
  absl::Duration busy = AwaitBusier(activity, absl::ZeroDuration());
  busy = AwaitBusier(activity, busy);
  const DeviceActivity::Stopped first = activity.Stop(0);
  EXPECT_GE(first.ran, busy);
  EXPECT_EQ(activity.Read()[0].busy, first.ran);

  activity.Start(0, "nulls");
  AwaitBusier(activity, first.ran);
  const DeviceActivity::Stopped second = activity.Stop(0);
  EXPECT_EQ(second.kind, "nulls");
  EXPECT_EQ(activity.Read()[0].busy, first.ran + second.ran);
}

TEST(DeviceActivityTest, NothingOfAJobIsLeftWhenItHasStopped) {
  DeviceActivity activity(2);
  activity.Start(1, "causal");
  activity.SetModel(1, "pythia");
  activity.SetProgress(1, 0.5);
  DeviceActivity::State state = activity.Read()[1];
  EXPECT_TRUE(state.is_running);
  EXPECT_EQ(state.kind, "causal");
  EXPECT_EQ(state.model, "pythia");
  EXPECT_EQ(state.progress, 0.5);
  EXPECT_FALSE(activity.Read()[0].is_running);

  activity.Stop(1);
  state = activity.Read()[1];
  EXPECT_FALSE(state.is_running);
  EXPECT_EQ(state.kind + state.model, "");
  EXPECT_EQ(state.progress, 0);
}

}  // namespace
}  // namespace induct::metrics
