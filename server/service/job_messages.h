// Jobs and their events as messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "induct/v1/job.pb.h"
#include "server/jobs/scheduler.h"

namespace induct::service {

v1::JobEvent ToMessage(const jobs::StoredEvent& event, const std::string& job);
v1::JobEvent ToMessage(const jobs::PassingEvent& event, uint32_t attempt);

// A heartbeat of now.
v1::JobEvent HeartbeatMessage(uint32_t attempt);

// `queue_position` as Scheduler::QueuePosition gives it.
v1::Job ToMessage(const jobs::JobRecord& record, const std::string& server_id,
                  std::optional<uint32_t> queue_position);

}  // namespace induct::service
