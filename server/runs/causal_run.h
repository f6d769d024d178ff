// The job of a CausalSpec: the top heads ablated, against controls.
#pragma once

#include <memory>
#include <vector>

#include "server/analysis/causal.h"
#include "server/runs/run.h"

namespace induct::runs {

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewCausalRun(RunRequest request, const analysis::CausalOptions& causal,
                                         std::vector<GivenPrompt> control_prompts,
                                         ResultEncoder<analysis::CausalResult> encode,
                                         const RunEnvironment& environment);

}  // namespace induct::runs
