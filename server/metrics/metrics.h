// What happened and how things stand, as the page that Prometheus reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/metrics/recorder.h"

namespace induct::metrics {

// What does not change while the server runs.
struct MetricsOptions {
  std::string version;   // of this program
  std::string libtorch;  // LibTorch's
  std::vector<std::string> devices;
  std::vector<std::string> job_kinds;
  size_t queue_limit = 0;                  // jobs that may wait
  std::map<std::string, int64_t> budgets;  // bytes of models by device; one that has no limit is not named
};

// Bytes; 0: unknown.
struct DeviceMemory {
  std::string device;
  int64_t used = 0;
  int64_t total = 0;
};

// All copies of one model on one device.
struct ResidentModel {
  std::string model;  // without revision
  std::string device;
  int64_t bytes = 0;
};

struct Volume {
  std::string name;                    // what it holds: "model_cache"
  std::optional<uint64_t> free_bytes;  // nullopt: unknown
};

// How things stand, gathered when the page is asked for.
struct Sample {
  size_t waiting_jobs = 0;  // accepted, and not running yet
  absl::Duration oldest_wait;
  size_t kept_jobs = 0, kept_bytes = 0;  // of ended jobs
  std::vector<DeviceMemory> memory;
  std::vector<ResidentModel> models;
  std::vector<Volume> volumes;
};

// Counts from the start of the process. Safe for concurrent use; whoever records waits for nothing that a
// page takes longer than some microseconds for.
class Metrics : public Recorder {
 public:
  static std::unique_ptr<Metrics> Create(MetricsOptions options);

  // The page, in Prometheus's text format.
  virtual std::string Page(const Sample& sample) const = 0;
};

}  // namespace induct::metrics
