// The job of a ProfileSpec: where a model's induction heads are.
#pragma once

#include <memory>

#include "server/runs/run.h"

namespace induct::runs {

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewProfileRun(RunRequest request, const RunEnvironment& environment);

}  // namespace induct::runs
