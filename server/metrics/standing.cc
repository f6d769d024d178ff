#include "server/metrics/standing.h"

#include <utility>

#include "server/metrics/process.h"

namespace induct::metrics {
namespace {

using Label = prometheus::ClientMetric::Label;

class FamilyOf {
 public:
  FamilyOf(const std::string& name, const std::string& help,
           prometheus::MetricType type = prometheus::MetricType::Gauge)
      : family_{.name = name, .help = help, .type = type} {}

  FamilyOf& Add(double value, std::vector<Label> labels = {}) {
    prometheus::ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    (family_.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    return *this;
  }

  prometheus::MetricFamily family() && { return std::move(family_); }

 private:
  prometheus::MetricFamily family_;
};

void AddDevices(const std::vector<std::string>& devices, const std::vector<DeviceActivity::State>& states,
                std::vector<prometheus::MetricFamily>& families) {
  FamilyOf running("induct_jobs_running", "Jobs that run on the device.");
  FamilyOf info("induct_running_job_info",
                "1 for the job that runs on the device: its kind, and the model that it measures now.");
  FamilyOf progress("induct_running_job_progress",
                    "How much of the job that runs on the device is done, 0 to 1.");
  FamilyOf busy("induct_device_busy_seconds_total",
                "Seconds in which the device had a job, the one that runs included.",
                prometheus::MetricType::Counter);
  for (size_t i = 0; i < devices.size(); ++i) {
    const DeviceActivity::State& state = states[i];
    const Label device{"device", devices[i]};
    running.Add(state.is_running ? 1 : 0, {device});
    progress.Add(state.progress, {device});
    busy.Add(absl::ToDoubleSeconds(state.busy), {device});
    if (!state.model.empty()) info.Add(1, {device, {"kind", state.kind}, {"model", state.model}});
  }
  for (FamilyOf* family : {&running, &info, &progress, &busy})
    families.push_back(std::move(*family).family());
}

void AddMemory(const Sample& sample, std::vector<prometheus::MetricFamily>& families) {
  FamilyOf used("induct_device_memory_used_bytes", "Memory of the device that is in use, by all programs.");
  FamilyOf total("induct_device_memory_total_bytes",
                 "Memory of the device; of a CPU the machine's, or what a control group leaves the server.");
  for (const DeviceMemory& memory : sample.memory) {
    if (memory.used > 0) used.Add(static_cast<double>(memory.used), {{"device", memory.device}});
    if (memory.total > 0) total.Add(static_cast<double>(memory.total), {{"device", memory.device}});
  }
  FamilyOf resident(
      "induct_model_resident_bytes",
      "Bytes reserved for the weights of a model on a device, all dtypes and revisions together.");
  for (const ResidentModel& model : sample.models)
    resident.Add(static_cast<double>(model.bytes), {{"model", model.model}, {"device", model.device}});
  FamilyOf disk("induct_disk_free_bytes",
                "Bytes that may still be written to the disk that holds the volume.");
  for (const Volume& volume : sample.volumes) {
    if (volume.free_bytes) disk.Add(static_cast<double>(*volume.free_bytes), {{"volume", volume.name}});
  }
  for (FamilyOf* family : {&used, &total, &resident, &disk}) families.push_back(std::move(*family).family());
}

}  // namespace

std::vector<prometheus::MetricFamily> StandingFamilies(const Sample& sample,
                                                       const std::vector<std::string>& devices,
                                                       const std::vector<DeviceActivity::State>& states) {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const std::string& name, const std::string& help, double value) {
    families.push_back(std::move(FamilyOf(name, help).Add(value)).family());
  };
  add("induct_jobs_queued",
      "Jobs that wait: accepted and not running yet, those that are being prepared included.",
      static_cast<double>(sample.waiting_jobs));
  add("induct_queue_oldest_seconds", "How long the oldest of them has waited; 0 where there is none.",
      absl::ToDoubleSeconds(sample.oldest_wait));
  add("induct_kept_jobs", "Ended jobs that are remembered.", static_cast<double>(sample.kept_jobs));
  add("induct_kept_bytes", "Bytes of requests, events and artifacts of ended jobs.",
      static_cast<double>(sample.kept_bytes));
  AddDevices(devices, states, families);
  AddMemory(sample, families);
  return families;
}

std::vector<prometheus::MetricFamily> ProcessFamilies(std::optional<double> start_seconds) {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const std::string& name, const std::string& help, auto value) {
    FamilyOf family(name, help);
    if (value) family.Add(static_cast<double>(*value));
    families.push_back(std::move(family).family());
  };
  add("process_start_time_seconds", "Start of the process, in seconds since 1970.", start_seconds);
  add("process_resident_memory_bytes", "Memory of the process that is in RAM.", ProcessResidentBytes());
  add("process_open_fds", "Open file descriptors.", ProcessOpenFds());
  return families;
}

}  // namespace induct::metrics
