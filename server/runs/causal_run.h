// The job of a CausalSpec: the top heads ablated, against controls.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/analysis/causal.h"
#include "server/runs/run.h"

namespace induct::runs {

// What a causal ablation computes, where half of the prompts' tokens choose heads and the other half and the
// control prompts are read by every arm. An estimate: which layers an arm shares with the unablated model is
// known when its heads are.
engine::LinearWork CausalWork(int64_t n_tokens, int64_t n_control_tokens,
                              const analysis::CausalOptions& causal);

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewCausalRun(RunRequest request, const analysis::CausalOptions& causal,
                                         std::vector<GivenPrompt> control_prompts,
                                         ResultEncoder<analysis::CausalResult> encode,
                                         const RunEnvironment& environment);

}  // namespace induct::runs
