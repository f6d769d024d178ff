// The job of a LagBucketsSpec: a profile by lag.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/analysis/lag_buckets.h"
#include "server/runs/run.h"

namespace induct::runs {

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewLagBucketsRun(RunRequest request, std::vector<uint32_t> edges,
                                             ResultEncoder<analysis::LagBucketsResult> encode,
                                             const RunEnvironment& environment);

}  // namespace induct::runs
