#include "server/hub/progress.h"

#include "absl/time/clock.h"

namespace induct::hub {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(250);

}  // namespace

void ProgressReport::BeginFile(const std::string& name) {
  now_.file = name;
  now_.note.clear();
  now_.done_bytes = done_before_;
  Tell();
}

void ProgressReport::AtByte(uint64_t position) {
  now_.done_bytes = done_before_ + position;
  now_.note.clear();
  if (absl::Now() >= next_) Tell();
}

void ProgressReport::Note(const std::string& note) {
  if (now_.note == note && absl::Now() < next_) return;
  now_.note = note;
  Tell();
}

void ProgressReport::EndFile(uint64_t size) {
  done_before_ += size;
  now_.done_bytes = done_before_;
  now_.note.clear();
  Tell();
}

void ProgressReport::Tell() {
  next_ = absl::Now() + kInterval;
  if (sink_) sink_(now_);
}

}  // namespace induct::hub
