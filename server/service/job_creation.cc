#include "server/service/job_creation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "proto/contract.h"
#include "proto/job_specs.h"
#include "server/service/job_kind.h"

namespace induct::service {
namespace {

absl::Duration Deadline(double seconds) {
  return seconds > 0 ? absl::Seconds(seconds) : absl::InfiniteDuration();
}

// `sha256` is that of the spec as it was sent. REQUIRES: the spec is resolved.
jobs::JobSpec JobSpecOf(v1::JobSpec spec, const std::string& sha256, const std::string& owner,
                        const std::string& server_id) {
  v1::JobEvent accepted;
  accepted.mutable_accepted()->set_server_id(server_id);
  for (const std::string& model : ModelsOf(spec)) accepted.mutable_accepted()->add_models(model);
  const std::string request_id = spec.options().request_id();
  spec.mutable_options()->clear_request_id();
  const v1::JobOptions options = spec.options();
  std::string request = spec.SerializeAsString();
  CountGivenPrompts(&spec);
  const std::string kind = KindOf(spec);
  *accepted.mutable_accepted()->mutable_spec() = std::move(spec);
  return {.kind = kind,
          .owner = owner,
          .request_id = request_id,
          .request_sha256 = sha256,
          .request = std::move(request),
          .accepted = accepted.SerializeAsString(),
          .priority = options.priority(),
          .queue_deadline = Deadline(options.queue_deadline()),
          .run_deadline = Deadline(options.run_deadline()),
          .on_disconnect = options.on_disconnect() == "continue" ? jobs::OnDisconnect::kContinue
                                                                 : jobs::OnDisconnect::kCancel};
}

absl::StatusOr<jobs::JobRecord> Accept(const ServiceContext& context, v1::JobSpec spec,
                                       const std::string& owner) {
  const std::string sha256 = SpecSha256(spec);
  INDUCT_RETURN_IF_ERROR(Resolve(context.settings, context.limits, &spec));
  std::vector<std::string> models = ModelsOf(spec);
  for (std::string& model : models) {
    INDUCT_RETURN_IF_ERROR(context.registry->CheckExists(model));
    // What a run saves names its model for whoever repeats it from another folder.
    INDUCT_ASSIGN_OR_RETURN(model, context.registry->WithAbsolutePath(model));
  }
  SetModelsOf(models, &spec);
  return context.scheduler->Submit(JobSpecOf(std::move(spec), sha256, owner, context.info.id()));
}

}  // namespace

std::string OwnerOf(const grpc::CallbackServerContext& context) {
  const auto it = context.client_metadata().find(kUserMetadata);
  if (it == context.client_metadata().end() || it->second.empty()) return "anonymous";
  std::string owner(it->second.data(), std::min<size_t>(it->second.size(), 64));
  for (char& c : owner) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return owner;
}

absl::StatusOr<jobs::JobRecord> CreateJob(const ServiceContext& context, v1::JobSpec spec,
                                          const std::string& owner) {
  absl::StatusOr<jobs::JobRecord> record = Accept(context, std::move(spec), owner);
  if (!record.ok()) context.recorder->RequestRejected(record.status());
  return record;
}

jobs::WorkFactory MakeWorkFactory(const SpecLimits& limits, const runs::RunEnvironment& environment) {
  return
      [&limits, &environment](const jobs::JobRecord& record) -> absl::StatusOr<std::unique_ptr<jobs::Work>> {
        v1::JobSpec spec;
        const JobKind* kind = FindKind(record.spec.kind);
        if (kind == nullptr || !spec.ParseFromString(record.spec.request) || KindOf(spec) != kind->name) {
          return absl::InternalError(
              absl::StrCat("this server can't run a stored job of the kind \"", record.spec.kind, "\""));
        }
        return kind->make_work(spec, FromMessage(spec, limits), environment);
      };
}

}  // namespace induct::service
