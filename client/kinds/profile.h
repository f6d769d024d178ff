// The kind "profile": where one model's induction heads are.
#pragma once

#include <string>
#include <vector>

#include "client/kinds.h"

namespace induct::client {

AnalysisKind ProfileKind();

// [n_layers, n_heads] of the profile's score kind; null where there is none.
const FloatArray* ScoresOf(const SavedModel& model);

// The summary of a model's profile; empty where it has none.
std::string ProfileSummary(const SavedModel& model);

// REQUIRES: of.model, which has a profile. What a head's tooltip tells also comes of the nulls of its model,
// in any run of the same prompts.
Findings ProfileFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
