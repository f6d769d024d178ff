// Where the hub is, where its files are kept, and who asks: as the Python library huggingface_hub reads it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/metrics/recorder.h"

namespace induct::hub {

// How often and how patiently a request is tried again. The delay doubles from first_delay to max_delay, with
// a random quarter off; a server's Retry-After counts where it is longer, up to
// max_retry_after.
struct RetryPolicy {
  int max_attempts = 6;  // in a row without progress; 1: never again
  absl::Duration first_delay = absl::Seconds(1);
  absl::Duration max_delay = absl::Seconds(16);
  absl::Duration max_retry_after = absl::Seconds(60);
};

struct HubOptions {
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT
  // HF_HUB_CACHE (or HUGGINGFACE_HUB_CACHE), else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
  // ~/.cache/huggingface/hub.
  std::string cache_dir;
  // HF_TOKEN (or HUGGING_FACE_HUB_TOKEN), else what stands in HF_TOKEN_PATH or HF_HOME/token, unless
  // HF_HUB_DISABLE_IMPLICIT_TOKEN is set. Empty: none. Sent to the endpoint's host only.
  std::string token;
  bool offline = false;      // HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE: no request is made
  bool use_symlinks = true;  // HF_HUB_DISABLE_SYMLINKS: a snapshot's files are files, not links to blobs
  absl::Duration metadata_timeout = absl::Seconds(10);  // HF_HUB_ETAG_TIMEOUT: to connect; without an answer
  absl::Duration stall_timeout = absl::Seconds(10);     // HF_HUB_DOWNLOAD_TIMEOUT: without a byte of a file
  RetryPolicy retry;
  // What the revisions that servers fetched may take of the cache's disk; nullopt: whatever they take.
  std::optional<uint64_t> max_fetched_bytes;
  metrics::Recorder* recorder = metrics::NoRecorder();  // must outlive the hub

  static HubOptions FromEnvironment();
  // The same, with another way to look up a variable (nullopt: it is not set).
  using Environment = std::function<std::optional<std::string>(const char* name)>;
  static HubOptions From(const Environment& environment);
};

// INVALID_ARGUMENT for an endpoint that is no http or https URL, a token that could not stand in a header, or
// no cache folder.
absl::Status CheckOptions(const HubOptions& options);

}  // namespace induct::hub
