// A recorder that keeps what it is told, for tests of the rooms that tell.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "server/metrics/recorder.h"

namespace induct::metrics {

// Safe for concurrent use.
class Told final : public Recorder {
 public:
  // A line for each event, in order, without times; what comes often is added up instead.
  std::vector<std::string> lines() const {
    const absl::MutexLock lock(&mutex_);
    return lines_;
  }
  // Sums of "prompts", "tokens", "layers", "streamed", "downloaded", "halved".
  uint64_t sum(const std::string& what) const {
    const absl::MutexLock lock(&mutex_);
    const auto found = sums_.find(what);
    return found == sums_.end() ? 0 : found->second;
  }
  double fraction() const {
    const absl::MutexLock lock(&mutex_);
    return fraction_;
  }
  // Of the job that started last.
  absl::Duration waited() const {
    const absl::MutexLock lock(&mutex_);
    return waited_;
  }
  absl::Duration prepared() const {
    const absl::MutexLock lock(&mutex_);
    return prepared_;
  }

  void JobStarted(int device, const std::string& kind, absl::Duration waited,
                  absl::Duration prepared) override {
    Add(absl::StrCat("started ", kind, " on ", device));
    const absl::MutexLock lock(&mutex_);
    waited_ = waited;
    prepared_ = prepared;
  }
  void JobStopped(int device) override { Add(absl::StrCat("stopped on ", device)); }
  void JobEnded(const std::string& kind, std::string_view outcome, const absl::Status& error) override {
    Add(absl::StrCat("ended ", kind, " ", std::string(outcome), error.ok() ? "" : " " + ReasonOrCode(error)));
  }
  void ModelBegun(int device, const std::string& model) override {
    Add(absl::StrCat("model ", model, " on ", device));
  }
  void RunAdvanced(int, double fraction, uint64_t prompts, uint64_t tokens) override {
    Count("prompts", prompts);
    Count("tokens", tokens);
    const absl::MutexLock lock(&mutex_);
    fraction_ = fraction;
  }
  void LayerDone(int) override { Count("layers", 1); }
  void WeightsLoaded(const absl::Status& status, absl::Duration) override {
    Add(absl::StrCat("loaded ", absl::StatusCodeToString(status.code())));
  }
  void FilesDownloaded(absl::Duration) override { Add("downloaded"); }
  void ModelEvicted(const std::string& device_name) override {
    Add(absl::StrCat("evicted from ", device_name));
  }
  void BytesStreamed(uint64_t bytes) override { Count("streamed", bytes); }
  void BytesDownloaded(uint64_t bytes) override { Count("downloaded", bytes); }
  void MicroBatchHalved() override { Count("halved", 1); }
  void RequestRejected(const absl::Status& why) override {
    Add(absl::StrCat("rejected ", ReasonOrCode(why)));
  }
  void StreamOpened() override { Add("stream opened"); }
  void StreamClosed(bool disconnected) override {
    Add(absl::StrCat("stream closed", disconnected ? " by its client" : ""));
  }

 private:
  void Add(std::string line) {
    const absl::MutexLock lock(&mutex_);
    lines_.push_back(std::move(line));
  }
  void Count(const std::string& what, uint64_t number) {
    const absl::MutexLock lock(&mutex_);
    sums_[what] += number;
  }

  mutable absl::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> sums_ ABSL_GUARDED_BY(mutex_);
  double fraction_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration waited_ ABSL_GUARDED_BY(mutex_), prepared_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace induct::metrics
