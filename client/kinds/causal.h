// The kind "causal": the top heads ablated, against controls.
#pragma once

#include <vector>

#include "client/kinds.h"

namespace induct::client {

AnalysisKind CausalKind();

// REQUIRES: of.model, which has the result.
Findings CausalFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
