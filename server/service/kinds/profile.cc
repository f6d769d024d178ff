// Where a model's induction heads are.
#include "server/runs/profile_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

absl::Status CheckProfile(const v1::JobSpec&, const SpecLimits&) { return absl::OkStatus(); }

std::unique_ptr<jobs::Work> MakeProfileWork(const v1::JobSpec&, runs::RunRequest request,
                                            const runs::RunEnvironment& environment) {
  return runs::NewProfileRun(std::move(request), environment);
}

}  // namespace

const JobKind kProfileKind = {.name = "profile", .check = CheckProfile, .make_work = MakeProfileWork};

}  // namespace induct::service
