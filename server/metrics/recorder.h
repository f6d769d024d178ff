// server/metrics counts what happens in the server and shows it to Prometheus, whose library is seen here
// alone. Must not know: any other room, gRPC, protobuf, LibTorch.
//
// This header: what the other rooms are handed and tell what happens, in plain types.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace induct::metrics {

// Told what happens; this class does nothing with it, Metrics counts it. Safe for concurrent use. No call
// waits but for locks that are held for a few instructions, so any thread may make it, with any lock held.
//
// A `device` is the number of one of the server's devices, a `device_name` what it is called ("cuda:0").
class Recorder {
 public:
  virtual ~Recorder() = default;

  // --- server/jobs ---

  // A job has the device from now on. It had waited that long, in the queue and, prepared, for the device;
  // preparing is not in it.
  virtual void JobStarted(int /*device*/, const std::string& /*kind*/, absl::Duration /*waited*/,
                          absl::Duration /*prepared*/) {}
  // The job that has the device lets it go. REQUIRES: JobStarted was told before.
  virtual void JobStopped(int /*device*/) {}
  // A job has come to its end, whether or not it ever had a device. `outcome` is "succeeded", "failed" or
  // "cancelled", `error` why it failed.
  virtual void JobEnded(const std::string& /*kind*/, std::string_view /*outcome*/,
                        const absl::Status& /*error*/) {}

  // --- server/runs, of the job that has the device ---

  // The model that it measures from now on, without revision.
  virtual void ModelBegun(int /*device*/, const std::string& /*model*/) {}
  // How much of the whole is done, 0 .. 1, and how many prompts and tokens since it was told last.
  virtual void RunAdvanced(int /*device*/, double /*fraction*/, uint64_t /*prompts*/, uint64_t /*tokens*/) {}
  // A layer's scores are final.
  virtual void LayerDone(int /*device*/) {}

  // --- server/models ---

  // The reading of a model's weights into a device's memory has ended.
  virtual void WeightsLoaded(const absl::Status& /*status*/, absl::Duration /*took*/) {}
  // A model's files have come from the hub.
  virtual void FilesDownloaded(absl::Duration /*took*/) {}
  // A model that nobody used was unloaded to make room.
  virtual void ModelEvicted(const std::string& /*device_name*/) {}
  // Bytes of weights were read for a model whose layers are streamed.
  virtual void BytesStreamed(uint64_t /*bytes*/) {}
  // A micro-batch did not fit into memory, and is tried again with half of its prompts.
  virtual void MicroBatchHalved() {}

  // --- server/hub ---

  // Bytes of files that have come over the network, used in the end or not.
  virtual void BytesDownloaded(uint64_t /*bytes*/) {}

  // --- server/service ---

  // A request for a job was refused before there was one.
  virtual void RequestRejected(const absl::Status& /*why*/) {}
  // A stream of a job's events; `disconnected`: its client went away before the last one.
  virtual void StreamOpened() {}
  virtual void StreamClosed(bool /*disconnected*/) {}
};

// For whoever is handed none. Does nothing.
Recorder* NoRecorder();

}  // namespace induct::metrics
