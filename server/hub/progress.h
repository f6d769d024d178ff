// What a download has done, told a few times a second.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "server/hub/hub.h"

namespace induct::hub {

// Used by one thread.
class ProgressReport {
 public:
  explicit ProgressReport(const ProgressSink& sink) : sink_(sink) {}

  // Of the files to come; those that have ended are added.
  void SetTotal(uint64_t bytes) { now_.total_bytes = done_before_ + bytes; }
  void BeginFile(const std::string& name);
  // How far the file is; it may also go back. `note`: why it stands still, told at once.
  void AtByte(uint64_t position);
  void Note(const std::string& note);
  void EndFile(uint64_t size);

 private:
  void Tell();

  const ProgressSink& sink_;
  DownloadProgress now_;
  uint64_t done_before_ = 0;  // in files that have ended
  absl::Time next_ = absl::InfinitePast();
};

}  // namespace induct::hub
