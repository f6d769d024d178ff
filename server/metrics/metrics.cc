#include "server/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/metrics/device_activity.h"
#include "server/metrics/process.h"
#include "server/metrics/standing.h"

namespace induct::metrics {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
template <typename Metric>
using Family = prometheus::Family<Metric>;

constexpr int kMaxStatusCode = static_cast<int>(absl::StatusCode::kUnauthenticated);

// Waiting may take from nothing to hours; work as well, but milliseconds count there.
const Histogram::BucketBoundaries& WaitingBuckets() {
  static const Histogram::BucketBoundaries seconds = {.01, .1, 1, 5, 15, 60, 300, 900, 3600, 14400};
  return seconds;
}
const Histogram::BucketBoundaries& WorkBuckets() {
  static const Histogram::BucketBoundaries seconds = {.05, .1, .25, .5,  1,   2.5,  5,    10,
                                                      30,  60, 120, 300, 600, 1800, 3600, 14400};
  return seconds;
}

std::string_view OutcomeName(const absl::Status& status) {
  if (status.ok()) return "succeeded";
  return absl::IsCancelled(status) ? "cancelled" : "failed";
}
constexpr std::string_view kOutcomes[] = {"succeeded", "failed", "cancelled"};

// Where a model comes from when it is loaded: its files from the hub, its weights from the disk.
constexpr char kFromHub[] = "hub", kFromDisk[] = "disk";

// The families and their label values, all there from the start: a rate can then be told from the first event
// on. What is counted often, device by device, is looked up once.
class PrometheusMetrics final : public Metrics {
 public:
  explicit PrometheusMetrics(MetricsOptions options)
      : options_(std::move(options)), activity_(options_.devices.size()) {
    SetConstants();
    StartAtZero();
  }

  void JobStarted(int device, const std::string& kind, absl::Duration waited,
                  absl::Duration prepared) override {
    queue_seconds_.Add({{"kind", kind}}, WaitingBuckets()).Observe(absl::ToDoubleSeconds(waited));
    prepare_seconds_.Add({{"kind", kind}}, WorkBuckets()).Observe(absl::ToDoubleSeconds(prepared));
    activity_.Start(device, kind);
  }
  void JobStopped(int device) override {
    const DeviceActivity::Stopped stopped = activity_.Stop(device);
    run_seconds_.Add({{"kind", stopped.kind}}, WorkBuckets()).Observe(absl::ToDoubleSeconds(stopped.ran));
  }
  void JobEnded(const std::string& kind, std::string_view outcome, const absl::Status& error) override {
    jobs_.Add({{"kind", kind}, {"outcome", std::string(outcome)}}).Increment();
    if (!error.ok()) failures_.Add({{"reason", ReasonOrCode(error)}}).Increment();
  }

  void ModelBegun(int device, const std::string& model) override { activity_.SetModel(device, model); }
  void RunAdvanced(int device, double fraction, uint64_t prompts, uint64_t tokens) override {
    activity_.SetProgress(device, fraction);
    done_[device].prompts->Increment(static_cast<double>(prompts));
    done_[device].tokens->Increment(static_cast<double>(tokens));
  }
  void LayerDone(int device) override { done_[device].layers->Increment(); }

  void WeightsLoaded(const absl::Status& status, absl::Duration took) override {
    loads_.Add({{"outcome", std::string(OutcomeName(status))}}).Increment();
    if (status.ok()) ObserveLoad(kFromDisk, took);
  }
  void FilesDownloaded(absl::Duration took) override { ObserveLoad(kFromHub, took); }
  void ModelEvicted(const std::string& device_name) override {
    evictions_.Add({{"device", device_name}}).Increment();
  }
  void BytesStreamed(uint64_t bytes) override { streamed_.Increment(static_cast<double>(bytes)); }
  void MicroBatchHalved() override { halvings_.Increment(); }
  void BytesDownloaded(uint64_t bytes) override { downloaded_.Increment(static_cast<double>(bytes)); }

  void RequestRejected(const absl::Status& why) override {
    rejections_.Add({{"reason", ReasonOrCode(why)}}).Increment();
  }
  void StreamOpened() override { streams_.Increment(); }
  void StreamClosed(bool disconnected) override {
    streams_.Decrement();
    if (disconnected) disconnects_.Increment();
  }

  std::string Page(const Sample& sample) const override {
    std::vector<prometheus::MetricFamily> families = registry_.Collect();
    for (auto& more :
         {StandingFamilies(sample, options_.devices, activity_.Read()), ProcessFamilies(start_seconds_)})
      families.insert(families.end(), more.begin(), more.end());
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  Family<Counter>& Counters(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(absl::StrCat("induct_", name)).Help(help).Register(registry_);
  }
  Family<Gauge>& Gauges(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(absl::StrCat("induct_", name)).Help(help).Register(registry_);
  }
  Family<Histogram>& Histograms(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(absl::StrCat("induct_", name)).Help(help).Register(registry_);
  }

  void ObserveLoad(const char* source, absl::Duration took) {
    load_seconds_.Add({{"source", source}}, WorkBuckets()).Observe(absl::ToDoubleSeconds(took));
  }

  void SetConstants() {
    Gauges("build_info", "1 for this build: its version, and LibTorch's.")
        .Add({{"version", options_.version}, {"libtorch", options_.libtorch}})
        .Set(1);
    Gauges("queue_limit", "Jobs that may wait, all owners together (limits.max_queued).")
        .Add({})
        .Set(static_cast<double>(options_.queue_limit));
    Family<Gauge>& budgets =
        Gauges("model_budget_bytes",
               "Bytes of the device that loaded models may take (model_memory_mb); none: no limit.");
    for (const auto& [device, bytes] : options_.budgets)
      budgets.Add({{"device", device}}).Set(static_cast<double>(bytes));
  }

  void StartAtZero() {
    for (const std::string& kind : options_.job_kinds) {
      for (const std::string_view outcome : kOutcomes)
        jobs_.Add({{"kind", kind}, {"outcome", std::string(outcome)}});
      queue_seconds_.Add({{"kind", kind}}, WaitingBuckets());
      prepare_seconds_.Add({{"kind", kind}}, WorkBuckets());
      run_seconds_.Add({{"kind", kind}}, WorkBuckets());
    }
    for (Family<Counter>* by_reason : {&failures_, &rejections_}) {
      for (const std::string_view reason : reason::kAll) by_reason->Add({{"reason", std::string(reason)}});
      for (int code = 1; code <= kMaxStatusCode; ++code)
        by_reason->Add({{"reason", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
    }
    for (const std::string_view outcome : kOutcomes) loads_.Add({{"outcome", std::string(outcome)}});
    for (const char* source : {kFromHub, kFromDisk}) load_seconds_.Add({{"source", source}}, WorkBuckets());
    for (const std::string& device : options_.devices) {
      evictions_.Add({{"device", device}});
      done_.push_back({.tokens = &tokens_.Add({{"device", device}}),
                       .prompts = &prompts_.Add({{"device", device}}),
                       .layers = &layers_.Add({{"device", device}})});
    }
  }

  const MetricsOptions options_;
  const std::optional<double> start_seconds_ = ProcessStartSeconds();
  DeviceActivity activity_;

  prometheus::Registry registry_;
  Family<Counter>& jobs_ = Counters("jobs_total", "Jobs that have ended.");
  Family<Counter>& failures_ =
      Counters("job_failures_total", "Jobs that have failed, by the reason that their clients were told.");
  Family<Counter>& rejections_ =
      Counters("rejections_total", "Requests for jobs that were refused, so that there is no job.");
  Family<Histogram>& queue_seconds_ =
      Histograms("job_queue_seconds",
                 "How long jobs that began to run had waited: in the queue and, prepared, for the device.");
  Family<Histogram>& prepare_seconds_ = Histograms(
      "job_prepare_seconds", "How long such jobs were prepared: downloading, making prompts, loading.");
  Family<Histogram>& run_seconds_ =
      Histograms("job_run_seconds", "How long jobs had their device, however they ended.");
  Family<Counter>& tokens_ =
      Counters("tokens_total", "Tokens of prompts that were measured, each once for each model.");
  Family<Counter>& prompts_ =
      Counters("prompts_total", "Prompts that were measured, each once for each model.");
  Family<Counter>& layers_ = Counters("layers_total", "Layers whose scores are final.");
  Family<Counter>& loads_ =
      Counters("model_loads_total", "Loads of a model's weights into a device's memory.");
  Family<Histogram>& load_seconds_ = Histograms(
      "model_load_seconds", "How long it took to get files from the hub, and to load weights from the disk.");
  Family<Counter>& evictions_ =
      Counters("model_evictions_total", "Models that were unloaded to make room for others.");
  Counter& streamed_ =
      Counters("streamed_bytes_total", "Bytes of weights read for models whose layers are streamed.").Add({});
  Counter& downloaded_ =
      Counters("hub_downloaded_bytes_total", "Bytes of files that have come from the hub.").Add({});
  Counter& halvings_ =
      Counters("micro_batch_halvings_total", "Micro-batches that were halved because memory ran out.")
          .Add({});
  Gauge& streams_ = Gauges("streams_open", "Open streams of jobs' events.").Add({});
  Counter& disconnects_ =
      Counters("stream_disconnects_total", "Streams whose client went away before the job's last event.")
          .Add({});

  struct Done {
    Counter* tokens;
    Counter* prompts;
    Counter* layers;
  };
  std::vector<Done> done_;  // by device
};

}  // namespace

std::unique_ptr<Metrics> Metrics::Create(MetricsOptions options) {
  return std::make_unique<PrometheusMetrics>(std::move(options));
}

}  // namespace induct::metrics
