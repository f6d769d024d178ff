// What rooms tell, as Prometheus reads it.
#include "server/metrics/metrics.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <set>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/status.h"

namespace induct::metrics {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Pair;

// Every series of a page, "name{label=\"value\"}", with its value.
std::map<std::string, double> SeriesOf(const std::string& page) {
  std::map<std::string, double> series;
  for (const absl::string_view line : absl::StrSplit(page, '\n', absl::SkipEmpty())) {
    if (line.front() == '#') continue;
    const size_t space = line.rfind(' ');
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(line.substr(space + 1), &value)) << line;
    EXPECT_TRUE(series.emplace(line.substr(0, space), value).second) << "twice: " << line;
  }
  return series;
}

// "name type" of every family.
std::set<std::string> TypesOf(const std::string& page) {
  std::set<std::string> types;
  for (const absl::string_view line : absl::StrSplit(page, '\n')) {
    if (line.substr(0, 7) == "# TYPE ") types.emplace(line.substr(7));
  }
  return types;
}

class MetricsTest : public testing::Test {
 protected:
  std::map<std::string, double> Series(const Sample& sample = {}) const {
    return SeriesOf(metrics_->Page(sample));
  }
  double Value(const std::string& name) const {
    const auto series = Series();
    const auto found = series.find(name);
    return found == series.end() ? -1 : found->second;
  }

  const std::unique_ptr<Metrics> metrics_ = Metrics::Create({.version = "1.2.3",
                                                             .libtorch = "2.13",
                                                             .devices = {"cpu", "cuda:0"},
                                                             .job_kinds = {"profile", "causal"},
                                                             .queue_limit = 7,
                                                             .budgets = {{"cpu", 5000000000}}});
};

TEST_F(MetricsTest, EveryFamilyIsThereFromTheStart) {
  EXPECT_THAT(TypesOf(metrics_->Page({})),
              testing::UnorderedElementsAre(
                  "induct_build_info gauge", "induct_jobs_total counter", "induct_job_failures_total counter",
                  "induct_rejections_total counter", "induct_jobs_queued gauge", "induct_queue_limit gauge",
                  "induct_queue_oldest_seconds gauge", "induct_jobs_running gauge",
                  "induct_job_queue_seconds histogram", "induct_job_prepare_seconds histogram",
                  "induct_job_run_seconds histogram", "induct_tokens_total counter",
                  "induct_prompts_total counter", "induct_layers_total counter",
                  "induct_device_busy_seconds_total counter", "induct_device_memory_used_bytes gauge",
                  "induct_device_memory_total_bytes gauge", "induct_model_resident_bytes gauge",
                  "induct_model_budget_bytes gauge", "induct_model_loads_total counter",
                  "induct_model_load_seconds histogram", "induct_model_evictions_total counter",
                  "induct_streamed_bytes_total counter", "induct_hub_downloaded_bytes_total counter",
                  "induct_streams_open gauge", "induct_stream_disconnects_total counter",
                  "induct_micro_batch_halvings_total counter", "induct_kept_jobs gauge",
                  "induct_kept_bytes gauge", "induct_disk_free_bytes gauge", "induct_running_job_info gauge",
                  "induct_running_job_progress gauge", "process_start_time_seconds gauge",
                  "process_resident_memory_bytes gauge", "process_open_fds gauge"));
}

TEST_F(MetricsTest, WhatIsCountedStartsAtZeroForEveryLabelValue) {
  const auto series = Series();
  std::set<std::string> zero;
  for (const auto& [name, value] : series) {
    if (value == 0) zero.insert(name);
  }
  for (const char* kind : {"profile", "causal"}) {
    for (const char* outcome : {"succeeded", "failed", "cancelled"})
      EXPECT_THAT(zero, Contains("induct_jobs_total{kind=\"" + std::string(kind) + "\",outcome=\"" + outcome +
                                 "\"}"));
    for (const char* stage : {"queue", "prepare", "run"})
      EXPECT_THAT(zero,
                  Contains("induct_job_" + std::string(stage) + "_seconds_count{kind=\"" + kind + "\"}"));
  }
  for (const std::string_view reason : reason::kAll) {
    EXPECT_THAT(zero, Contains("induct_job_failures_total{reason=\"" + std::string(reason) + "\"}"));
    EXPECT_THAT(zero, Contains("induct_rejections_total{reason=\"" + std::string(reason) + "\"}"));
  }
  EXPECT_THAT(zero, Contains("induct_job_failures_total{reason=\"INTERNAL\"}"));
  for (const char* device : {"cpu", "cuda:0"}) {
    for (const char* name : {"jobs_running", "tokens_total", "prompts_total", "layers_total",
                             "running_job_progress", "device_busy_seconds_total", "model_evictions_total"})
      EXPECT_THAT(zero, Contains("induct_" + std::string(name) + "{device=\"" + device + "\"}"));
  }
  EXPECT_THAT(zero,
              IsSupersetOf({"induct_model_loads_total{outcome=\"succeeded\"}", "induct_streams_open",
                            "induct_model_loads_total{outcome=\"failed\"}", "induct_streamed_bytes_total",
                            "induct_model_load_seconds_count{source=\"hub\"}",
                            "induct_model_load_seconds_count{source=\"disk\"}"}));
}

TEST_F(MetricsTest, WhatStaysAsItIsIsSaidOnce) {
  EXPECT_THAT(Series(), IsSupersetOf({Pair("induct_build_info{libtorch=\"2.13\",version=\"1.2.3\"}", 1.0),
                                      Pair("induct_queue_limit", 7.0),
                                      Pair("induct_model_budget_bytes{device=\"cpu\"}", 5e9)}));
}

TEST_F(MetricsTest, BucketsAreThoseOfWaitingAndOfWork) {
  std::map<std::string, std::set<double>> buckets;
  for (const auto& [name, value] : Series()) {
    const size_t le = name.find("le=\"");
    double bound = 0;
    if (le == std::string::npos || !absl::SimpleAtod(name.substr(le + 4, name.size() - le - 6), &bound))
      continue;
    buckets[name.substr(0, name.find('{'))].insert(bound);
  }
  EXPECT_EQ(buckets.size(), 4);
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(buckets["induct_job_queue_seconds_bucket"],
              ElementsAre(.01, .1, 1, 5, 15, 60, 300, 900, 3600, 14400, inf));
  for (const char* name : {"job_prepare", "job_run", "model_load"}) {
    EXPECT_THAT(buckets["induct_" + std::string(name) + "_seconds_bucket"],
                ElementsAre(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, inf));
  }
}

TEST_F(MetricsTest, AJobIsSeenWhileItRunsAndCountedWhenItHasEnded) {
  metrics_->JobStarted(1, "causal", absl::Seconds(20), absl::Seconds(2));
  EXPECT_EQ(Value("induct_jobs_running{device=\"cuda:0\"}"), 1);
  EXPECT_EQ(Value("induct_jobs_running{device=\"cpu\"}"), 0);
  metrics_->ModelBegun(1, "pythia-14m");
  metrics_->RunAdvanced(1, 0.25, 3, 400);
  metrics_->RunAdvanced(1, 0.5, 2, 100);
  metrics_->LayerDone(1);
  EXPECT_THAT(
      Series(),
      IsSupersetOf(
          {Pair("induct_running_job_info{device=\"cuda:0\",kind=\"causal\",model=\"pythia-14m\"}", 1.0),
           Pair("induct_running_job_progress{device=\"cuda:0\"}", 0.5),
           Pair("induct_prompts_total{device=\"cuda:0\"}", 5.0),
           Pair("induct_tokens_total{device=\"cuda:0\"}", 500.0),
           Pair("induct_layers_total{device=\"cuda:0\"}", 1.0),
           Pair("induct_tokens_total{device=\"cpu\"}", 0.0)}));
  EXPECT_GT(Value("induct_device_busy_seconds_total{device=\"cuda:0\"}"), 0);
  EXPECT_EQ(Value("induct_job_run_seconds_count{kind=\"causal\"}"), 0);

  metrics_->JobStopped(1);
  metrics_->JobEnded("causal", "failed", WithReason(absl::ResourceExhaustedError("x"), reason::kOutOfMemory));
  EXPECT_THAT(Series(), IsSupersetOf({Pair("induct_jobs_running{device=\"cuda:0\"}", 0.0),
                                      Pair("induct_running_job_progress{device=\"cuda:0\"}", 0.0),
                                      Pair("induct_job_queue_seconds_sum{kind=\"causal\"}", 20.0),
                                      Pair("induct_job_queue_seconds_bucket{kind=\"causal\",le=\"15\"}", 0.0),
                                      Pair("induct_job_queue_seconds_bucket{kind=\"causal\",le=\"60\"}", 1.0),
                                      Pair("induct_job_prepare_seconds_sum{kind=\"causal\"}", 2.0),
                                      Pair("induct_job_run_seconds_count{kind=\"causal\"}", 1.0),
                                      Pair("induct_jobs_total{kind=\"causal\",outcome=\"failed\"}", 1.0),
                                      Pair("induct_job_failures_total{reason=\"OUT_OF_MEMORY\"}", 1.0)}));
  for (const auto& [name, value] : Series())
    EXPECT_EQ(name.find("running_job_info"), std::string::npos) << name;
}

TEST_F(MetricsTest, AnErrorWithoutReasonIsCountedByItsCode) {
  metrics_->JobEnded("profile", "failed", absl::InternalError("a fault"));
  metrics_->RequestRejected(absl::UnavailableError("not now"));
  EXPECT_EQ(Value("induct_job_failures_total{reason=\"INTERNAL\"}"), 1);
  EXPECT_EQ(Value("induct_rejections_total{reason=\"UNAVAILABLE\"}"), 1);
}

TEST_F(MetricsTest, JobsThatWereNotTroubledByAnErrorFailForNoReason) {
  metrics_->JobEnded("profile", "succeeded", absl::OkStatus());
  metrics_->JobEnded("profile", "cancelled", absl::OkStatus());
  double failures = 0;
  for (const auto& [name, value] : Series())
    failures += name.starts_with("induct_job_failures_total") ? value : 0;
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(Value("induct_jobs_total{kind=\"profile\",outcome=\"cancelled\"}"), 1);
}

TEST_F(MetricsTest, LoadsAreCountedByTheirOutcomeAndTimedWhereTheySucceed) {
  metrics_->WeightsLoaded(absl::OkStatus(), absl::Seconds(3));
  metrics_->WeightsLoaded(absl::CancelledError("stopped"), absl::Seconds(50));
  metrics_->WeightsLoaded(absl::DataLossError("broken"), absl::Seconds(50));
  metrics_->FilesDownloaded(absl::Seconds(70));
  metrics_->ModelEvicted("cpu");
  metrics_->BytesStreamed(100);
  metrics_->BytesDownloaded(10'000'000'000);
  metrics_->BytesDownloaded(1);
  metrics_->MicroBatchHalved();
  EXPECT_THAT(Series(), IsSupersetOf({Pair("induct_model_loads_total{outcome=\"succeeded\"}", 1.0),
                                      Pair("induct_model_loads_total{outcome=\"cancelled\"}", 1.0),
                                      Pair("induct_model_loads_total{outcome=\"failed\"}", 1.0),
                                      Pair("induct_model_load_seconds_sum{source=\"disk\"}", 3.0),
                                      Pair("induct_model_load_seconds_sum{source=\"hub\"}", 70.0),
                                      Pair("induct_model_evictions_total{device=\"cpu\"}", 1.0),
                                      Pair("induct_streamed_bytes_total", 100.0),
                                      Pair("induct_hub_downloaded_bytes_total", 10'000'000'001.0),
                                      Pair("induct_micro_batch_halvings_total", 1.0)}));
}

TEST_F(MetricsTest, StreamsAreOpenUntilTheyClose) {
  metrics_->StreamOpened();
  metrics_->StreamOpened();
  metrics_->StreamClosed(/*disconnected=*/true);
  EXPECT_EQ(Value("induct_streams_open"), 1);
  metrics_->StreamClosed(/*disconnected=*/false);
  EXPECT_EQ(Value("induct_streams_open"), 0);
  EXPECT_EQ(Value("induct_stream_disconnects_total"), 1);
}

TEST_F(MetricsTest, ThePageShowsHowThingsStandAndNothingThatIsGone) {
  const Sample sample = {.waiting_jobs = 3,
                         .oldest_wait = absl::Milliseconds(1500),
                         .kept_jobs = 4,
                         .kept_bytes = 5,
                         .memory = {{.device = "cpu", .used = 6, .total = 7}, {.device = "cuda:0"}},
                         .models = {{.model = "org/m\"x", .device = "cpu", .bytes = 8}},
                         .volumes = {{.name = "model_cache", .free_bytes = 9}, {.name = "other"}}};
  EXPECT_THAT(Series(sample),
              IsSupersetOf({Pair("induct_jobs_queued", 3.0), Pair("induct_queue_oldest_seconds", 1.5),
                            Pair("induct_kept_jobs", 4.0), Pair("induct_kept_bytes", 5.0),
                            Pair("induct_device_memory_used_bytes{device=\"cpu\"}", 6.0),
                            Pair("induct_device_memory_total_bytes{device=\"cpu\"}", 7.0),
                            Pair("induct_model_resident_bytes{model=\"org/m\\\"x\",device=\"cpu\"}", 8.0),
                            Pair("induct_disk_free_bytes{volume=\"model_cache\"}", 9.0)}));
  const auto series = Series(sample);
  for (const char* unknown :
       {"induct_device_memory_used_bytes{device=\"cuda:0\"}", "induct_disk_free_bytes{volume=\"other\"}"})
    EXPECT_FALSE(series.contains(unknown)) << unknown;
  for (const auto& [name, value] : Series())
    EXPECT_EQ(name.find("resident_bytes{"), std::string::npos) << name;
}

TEST_F(MetricsTest, TheProcessIsThisOne) {
  const double start = Value("process_start_time_seconds");
  EXPECT_NEAR(start, static_cast<double>(std::time(nullptr)), 600);
  EXPECT_EQ(Value("process_start_time_seconds"), start);
  EXPECT_GT(Value("process_resident_memory_bytes"), 1e6);
  int open = 0;
  for (int fd = 0; fd < 4096; ++fd) open += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  EXPECT_EQ(Value("process_open_fds"), open);
}

TEST_F(MetricsTest, NothingIsLostWhilePagesAreMade) {
  constexpr int kTimes = 2000;
  std::vector<std::jthread> threads;
  for (int device = 0; device < 2; ++device) {
    threads.emplace_back([this, device] {
      for (int i = 0; i < kTimes; ++i) {
        metrics_->JobStarted(device, "profile", absl::ZeroDuration(), absl::ZeroDuration());
        metrics_->RunAdvanced(device, 1, 1, 10);
        metrics_->JobStopped(device);
        metrics_->JobEnded("profile", "succeeded", absl::OkStatus());
        metrics_->BytesStreamed(1);
      }
    });
  }
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(metrics_->Page({}).empty());
  threads.clear();
  EXPECT_THAT(Series(),
              IsSupersetOf({Pair("induct_jobs_total{kind=\"profile\",outcome=\"succeeded\"}", 2.0 * kTimes),
                            Pair("induct_job_run_seconds_count{kind=\"profile\"}", 2.0 * kTimes),
                            Pair("induct_tokens_total{device=\"cpu\"}", 10.0 * kTimes),
                            Pair("induct_streamed_bytes_total", 2.0 * kTimes)}));
}

TEST(NoRecorderTest, WhoeverIsHandedNoneTellsNobody) {
  NoRecorder()->JobStarted(5, "profile", absl::ZeroDuration(), absl::ZeroDuration());
  NoRecorder()->JobStopped(5);
  NoRecorder()->StreamClosed(true);
}

}  // namespace
}  // namespace induct::metrics
