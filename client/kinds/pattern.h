// The kind "pattern": one head's attention on one prompt.
#pragma once

#include <vector>

#include "client/kinds.h"

namespace induct::client {

AnalysisKind PatternKind();

// [n_tokens, n_tokens] of the pattern; null where there is none.
const FloatArray* AttentionOf(const SavedModel& model);

// REQUIRES: of.model, which has the result.
Findings PatternFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
