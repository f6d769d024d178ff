// What a job is: its life, its record, its events. Plain data, no behaviour but the table of allowed state
// changes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace induct::jobs {

enum class JobState { kQueued, kPreparing, kReady, kRunning, kSucceeded, kFailed, kCancelled };

// "queued", "preparing", ...
std::string_view JobStateName(JobState state);
constexpr bool IsTerminal(JobState state) { return state >= JobState::kSucceeded; }

// Every allowed change of state; scheduler.cc changes states by this table only. A job goes back to kQueued
// when its server stopped or crashed under it (a new attempt follows).
inline constexpr std::array<std::pair<JobState, JobState>, 15> kTransitions = {{
    {JobState::kQueued, JobState::kPreparing},
    {JobState::kQueued, JobState::kFailed},
    {JobState::kQueued, JobState::kCancelled},
    {JobState::kPreparing, JobState::kReady},
    {JobState::kPreparing, JobState::kFailed},
    {JobState::kPreparing, JobState::kCancelled},
    {JobState::kPreparing, JobState::kQueued},
    {JobState::kReady, JobState::kRunning},
    {JobState::kReady, JobState::kFailed},
    {JobState::kReady, JobState::kCancelled},
    {JobState::kReady, JobState::kQueued},
    {JobState::kRunning, JobState::kSucceeded},
    {JobState::kRunning, JobState::kFailed},
    {JobState::kRunning, JobState::kCancelled},
    {JobState::kRunning, JobState::kQueued},
}};
bool CanChange(JobState from, JobState to);

enum class OnDisconnect { kCancel, kContinue };

// Bytes that never change and cost nothing to copy: a request may be tens of megabytes, and records are
// copied all the time.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(std::string bytes)
      : bytes_(std::make_shared<const std::string>(std::move(bytes))) {}  // NOLINT: reads as a string
  SharedBytes(const char* bytes) : SharedBytes(std::string(bytes)) {}     // NOLINT
  const std::string& str() const {
    static const std::string kEmpty;
    return bytes_ ? *bytes_ : kEmpty;
  }
  operator const std::string&() const { return str(); }  // NOLINT
  size_t size() const { return str().size(); }
  friend bool operator==(const SharedBytes& a, const SharedBytes& b) { return a.str() == b.str(); }

 private:
  std::shared_ptr<const std::string> bytes_;
};

// What a client asks for. The request is opaque bytes here: server/service encodes and decodes it.
struct JobSpec {
  std::string kind;            // "profile"
  std::string owner;           // for fairness, quotas and who may look; never empty
  std::string request_id;      // client-made, unique per owner; empty: none
  std::string request_sha256;  // of what the client sent: what a request id stands for
  SharedBytes request;         // opaque
  SharedBytes accepted;        // opaque payload of the first event (the resolved request)
  int32_t priority = 0;        // higher first among one owner's jobs
  // From acceptance until it runs; of a further attempt: from the start of the server that took it over.
  absl::Duration queue_deadline = absl::InfiniteDuration();
  absl::Duration run_deadline = absl::InfiniteDuration();  // from the start of running
  OnDisconnect on_disconnect = OnDisconnect::kCancel;
};

struct JobRecord {
  std::string name;  // "jobs/<ULID>"
  JobSpec spec;
  JobState state = JobState::kQueued;
  uint32_t attempt = 1;  // of those that began to prepare, the one that it is in or waits for
  absl::Time created = absl::InfinitePast();
  absl::Time preparing_since = absl::InfinitePast();
  absl::Time ready_since = absl::InfinitePast();
  absl::Time running_since = absl::InfinitePast();  // InfinitePast: not yet
  absl::Time finished = absl::InfinitePast();
  absl::Status error;  // of a failed job
};

enum class EventType { kAccepted, kOutput, kArtifact, kFinished, kFailed, kCancelled, kRequeued };

struct ArtifactDescriptor {
  std::string name;
  std::string media_type;
  uint64_t size = 0;
  std::string sha256;  // lower-case hexadecimal
};

// A durable event. Stored before anyone sees it.
struct StoredEvent {
  uint64_t sequence = 0;  // 1, 2, 3, ... without a gap
  uint32_t attempt = 1;
  absl::Time time;
  EventType type = EventType::kOutput;
  std::string payload;          // opaque: kAccepted, kOutput, kFinished
  ArtifactDescriptor artifact;  // kArtifact
  absl::Status error;           // kFailed, kRequeued
};

}  // namespace induct::jobs
