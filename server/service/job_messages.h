// Jobs and their events as messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "induct/v1/job.pb.h"
#include "server/jobs/job_store.h"
#include "server/jobs/scheduler.h"

namespace induct::service {

v1::JobEvent ToMessage(const jobs::StoredEvent& event, const std::string& job);
v1::JobEvent ToMessage(const jobs::PassingEvent& event, uint32_t attempt);

// A heartbeat of now.
v1::JobEvent HeartbeatMessage(uint32_t attempt);

v1::Job::State StateOf(jobs::JobState state);
absl::Time TimeOf(const google::protobuf::Timestamp& time);

// What the job's first event says.
v1::JobAccepted AcceptedOf(const jobs::JobRecord& record);

// `queue_position` as Scheduler::QueuePosition gives it.
v1::Job ToMessage(const jobs::JobRecord& record, const std::string& server_id,
                  std::optional<uint32_t> queue_position);

// Adds what only the job's events tell: device, models, artifacts, progress, seconds, warnings. Blocks on the
// store.
absl::Status AddDetails(const jobs::JobStore& store, v1::Job* job);

}  // namespace induct::service
