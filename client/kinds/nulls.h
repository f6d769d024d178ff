// The kind "nulls": a profile with its nulls.
#pragma once

#include <vector>

#include "client/kinds.h"

namespace induct::client {

AnalysisKind NullsKind();

// REQUIRES: of.model, which has the result.
Findings NullsFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
