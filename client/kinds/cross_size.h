// The kind "crosssize": several models on relative depth.
#pragma once

#include <vector>

#include "client/kinds.h"

namespace induct::client {

AnalysisKind CrossSizeKind();

// REQUIRES: the run has the result.
Findings CrossSizeFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
