#include "server/service/job_messages.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/service/status_mapping.h"

namespace induct::service {
namespace {

void SetTime(absl::Time time, google::protobuf::Timestamp* message) {
  const absl::Duration since_epoch = time - absl::UnixEpoch();
  const int64_t seconds = absl::ToInt64Seconds(absl::Floor(since_epoch, absl::Seconds(1)));
  message->set_seconds(seconds);
  message->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(since_epoch - absl::Seconds(seconds))));
}

// Read at once.
constexpr size_t kDetailBytes = size_t{1} << 20;

void SetArtifact(const jobs::ArtifactDescriptor& artifact, v1::Artifact* message) {
  message->set_name(artifact.name);
  message->set_media_type(artifact.media_type);
  message->set_size(static_cast<double>(artifact.size));
  message->set_sha256(artifact.sha256);
}

// A later artifact of the same name replaces the earlier.
void AddArtifact(const v1::Artifact& artifact, v1::Job* job) {
  auto& artifacts = *job->mutable_artifacts();
  const auto same = std::find_if(artifacts.begin(), artifacts.end(),
                                 [&](const v1::Artifact& each) { return each.name() == artifact.name(); });
  if (same != artifacts.end()) artifacts.erase(same);
  *artifacts.Add() = artifact;
}

void AddDetail(const v1::JobEvent& event, v1::Job* job) {
  switch (event.event_case()) {
    case v1::JobEvent::kStarted:
      *job->mutable_started() = event.started();
      job->mutable_progress()->set_layers_done(0);
      break;
    case v1::JobEvent::kLayerScores:
      job->mutable_progress()->set_layers_done(job->progress().layers_done() + 1);
      break;
    case v1::JobEvent::kArtifact:
      AddArtifact(event.artifact(), job);
      break;
    case v1::JobEvent::kFinished:
      *job->mutable_seconds() = event.finished().seconds();
      *job->mutable_warnings() = event.finished().warnings();
      break;
    case v1::JobEvent::kRequeued:
      job->clear_started();
      job->clear_artifacts();  // the next attempt makes its own
      break;
    default:
      break;
  }
}

// Of layers alone: what passes is not kept. Only of a job at work.
void FinishProgress(v1::Job* job) {
  if (job->state() != v1::Job::STATE_RUNNING || !job->has_started()) return job->clear_progress();
  uint32_t n_layers = 0;
  for (const v1::ModelUse& model : job->started().models()) n_layers += model.n_layers();
  v1::JobProgress& progress = *job->mutable_progress();
  progress.set_n_layers(n_layers);
  if (n_layers > 0) progress.set_fraction(static_cast<double>(progress.layers_done()) / n_layers);
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
      SetArtifact(event.artifact, message.mutable_artifact());
      break;
    case jobs::EventType::kFailed:
      *message.mutable_failed() = ToRpcStatus(event.error);
      break;
    case jobs::EventType::kCancelled:
      message.mutable_cancelled();
      break;
    case jobs::EventType::kRequeued:
      message.mutable_requeued()->set_cause(std::string(event.error.message()));
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

v1::Job::State StateOf(jobs::JobState state) {
  switch (state) {
    case jobs::JobState::kQueued:
      return v1::Job::STATE_QUEUED;
    case jobs::JobState::kPreparing:
      return v1::Job::STATE_PREPARING;
    case jobs::JobState::kReady:
      return v1::Job::STATE_READY;
    case jobs::JobState::kRunning:
      return v1::Job::STATE_RUNNING;
    case jobs::JobState::kSucceeded:
      return v1::Job::STATE_SUCCEEDED;
    case jobs::JobState::kFailed:
      return v1::Job::STATE_FAILED;
    case jobs::JobState::kCancelled:
      return v1::Job::STATE_CANCELLED;
  }
  return v1::Job::STATE_UNSPECIFIED;
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

v1::JobAccepted AcceptedOf(const jobs::JobRecord& record) {
  v1::JobEvent event;
  if (!event.ParseFromString(record.spec.accepted))
    LogJob(LogLevel::kError, record.name, "its first event could not be parsed");
  return event.accepted();
}

v1::Job ToMessage(const jobs::JobRecord& record, const std::string& server_id,
                  std::optional<uint32_t> queue_position) {
  v1::Job job;
  job.set_name(record.name);
  job.set_server_id(server_id);
  job.set_owner(record.spec.owner);
  job.set_kind(record.spec.kind);
  job.set_state(StateOf(record.state));
  job.set_attempt(record.attempt);
  v1::JobAccepted accepted = AcceptedOf(record);
  *job.mutable_spec() = std::move(*accepted.mutable_spec());
  *job.mutable_models() = std::move(*accepted.mutable_models());
  job.set_request_sha256(record.spec.request_sha256);
  SetTime(record.created, job.mutable_create_time());
  if (record.running_since != absl::InfinitePast()) SetTime(record.running_since, job.mutable_start_time());
  if (record.finished != absl::InfinitePast()) SetTime(record.finished, job.mutable_end_time());
  if (queue_position) job.set_queue_position(*queue_position);
  if (record.state == jobs::JobState::kFailed) *job.mutable_error() = ToRpcStatus(record.error);
  return job;
}

absl::Status AddDetails(const jobs::JobStore& store, v1::Job* job) {
  uint64_t sequence = 0;
  while (true) {
    INDUCT_ASSIGN_OR_RETURN(const auto page, store.ReadEvents(job->name(), sequence, kDetailBytes));
    if (page.empty()) break;
    for (const jobs::StoredEvent& event : page) AddDetail(ToMessage(event, job->name()), job);
    sequence = page.back().sequence;
  }
  FinishProgress(job);
  return absl::OkStatus();
}

}  // namespace induct::service
