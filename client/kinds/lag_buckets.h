// The kind "lagbuckets": a profile by lag.
#pragma once

#include <vector>

#include "client/kinds.h"

namespace induct::client {

AnalysisKind LagBucketsKind();

// REQUIRES: of.model, which has the result.
Findings LagBucketsFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
