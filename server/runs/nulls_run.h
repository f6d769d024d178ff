// The job of a NullsSpec: a profile against its nulls.
#pragma once

#include <memory>

#include "server/analysis/nulls.h"
#include "server/runs/run.h"

namespace induct::runs {

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewNullsRun(RunRequest request, const analysis::NullOptions& nulls,
                                        ResultEncoder<analysis::NullsResult> encode,
                                        const RunEnvironment& environment);

}  // namespace induct::runs
