#include "server/service/job_messages.h"

#include "absl/time/clock.h"
#include "common/logging.h"
#include "induct/v1/profile.pb.h"
#include "server/service/status_mapping.h"

namespace induct::service {
namespace {

void SetTime(absl::Time time, google::protobuf::Timestamp* message) {
  const absl::Duration since_epoch = time - absl::UnixEpoch();
  const int64_t seconds = absl::ToInt64Seconds(absl::Floor(since_epoch, absl::Seconds(1)));
  message->set_seconds(seconds);
  message->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(since_epoch - absl::Seconds(seconds))));
}

}  // namespace

v1::JobEvent ToMessage(const jobs::StoredEvent& event, const std::string& job) {
  v1::JobEvent message;
  switch (event.type) {
    case jobs::EventType::kAccepted:
    case jobs::EventType::kOutput:
    case jobs::EventType::kFinished:
      if (!message.ParseFromString(event.payload))
        Log(LogLevel::kError, "server", "a stored event could not be parsed");
      if (message.has_accepted())
        message.mutable_accepted()->set_job(job);  // it had no name when the event was made
      break;
    case jobs::EventType::kArtifact:
      message.mutable_artifact()->set_name(event.artifact.name);
      message.mutable_artifact()->set_media_type(event.artifact.media_type);
      message.mutable_artifact()->set_size(event.artifact.size);
      message.mutable_artifact()->set_sha256(event.artifact.sha256);
      break;
    case jobs::EventType::kFailed:
      *message.mutable_failed() = ToRpcStatus(event.error);
      break;
    case jobs::EventType::kCancelled:
      message.mutable_cancelled();
      break;
  }
  message.set_sequence(event.sequence);
  message.set_attempt(event.attempt);
  SetTime(event.time, message.mutable_time());
  return message;
}

v1::JobEvent ToMessage(const jobs::PassingEvent& event, uint32_t attempt) {
  v1::JobEvent message;
  if (event.slot == jobs::kQueuedSlot) {
    message.mutable_queued()->set_position(event.queue_position);
  } else if (!message.ParseFromString(event.payload)) {
    Log(LogLevel::kError, "server", "a passing event could not be parsed");
  }
  message.set_attempt(attempt);
  SetTime(absl::Now(), message.mutable_time());
  return message;
}

v1::JobEvent HeartbeatMessage(uint32_t attempt) {
  v1::JobEvent message;
  message.mutable_heartbeat();
  message.set_attempt(attempt);
  SetTime(absl::Now(), message.mutable_time());
  return message;
}

v1::Job ToMessage(const jobs::JobRecord& record, const std::string& server_id,
                  std::optional<uint32_t> queue_position) {
  v1::Job job;
  job.set_name(record.name);
  job.set_server_id(server_id);
  job.set_owner(record.spec.owner);
  job.set_kind(record.spec.kind);
  job.set_state(std::string(jobs::JobStateName(record.state)));
  job.set_attempt(record.attempt);
  v1::JobEvent accepted;
  if (accepted.ParseFromString(record.spec.accepted)) *job.mutable_models() = accepted.accepted().models();
  SetTime(record.created, job.mutable_created());
  if (record.running_since != absl::InfinitePast()) SetTime(record.running_since, job.mutable_started());
  if (record.finished != absl::InfinitePast()) SetTime(record.finished, job.mutable_finished());
  if (queue_position) job.set_queue_position(*queue_position);
  if (record.state == jobs::JobState::kFailed) *job.mutable_error() = ToRpcStatus(record.error);
  job.set_priority(record.spec.priority);
  return job;
}

}  // namespace induct::service
