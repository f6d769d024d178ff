// From a spec to a job, and from a stored job to its work.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "induct/v1/analyses.pb.h"
#include "server/service/services.h"

namespace induct::service {

// The job's owner as the call says it: the metadata kUserMetadata (unauthenticated, for fairness only), else
// "anonymous". Characters outside printable ASCII become '?', at most 64 are kept.
std::string OwnerOf(const grpc::CallbackServerContext& context);

// Resolves the spec and submits it. Blocks on the job store and on files of models. Refusals are counted.
absl::StatusOr<jobs::JobRecord> CreateJob(const ServiceContext& context, v1::JobSpec spec,
                                          const std::string& owner);

}  // namespace induct::service
