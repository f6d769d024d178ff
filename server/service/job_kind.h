// A kind of job: what sets it apart from the others. A file each in kinds/, which also has the result's
// message; all of them in kinds.cc.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "induct/v1/analyses.pb.h"
#include "server/jobs/scheduler.h"
#include "server/runs/run.h"
#include "server/service/specs.h"

namespace induct::service {

struct JobKind {
  std::string_view name;  // as KindOf gives it
  // Checks what the spec has beyond its profile, whose settings are resolved. INVALID_ARGUMENT naming the
  // field.
  absl::Status (*check)(const v1::JobSpec& spec, const SpecLimits& limits);
  // `request` is the spec's profile; `environment` must outlive the work. REQUIRES: the spec is resolved.
  std::unique_ptr<jobs::Work> (*make_work)(const v1::JobSpec& spec, runs::RunRequest request,
                                           const runs::RunEnvironment& environment);
};

// Null where this server has no kind of that name.
const JobKind* FindKind(std::string_view name);
std::span<const JobKind* const> JobKinds();

// A result's message in both forms.
absl::StatusOr<runs::EncodedResult> Encode(const google::protobuf::Message& result);

}  // namespace induct::service
