// The kind "targets": attention read where the user says, by group.
#pragma once

#include <string>
#include <vector>

#include "client/kinds.h"
#include "induct/v1/targets.pb.h"

namespace induct::client {

AnalysisKind TargetsKind();

// What summary, figures and report say alike. Heads are places in the matrices.

// "12,345 operations in 400 prompts", with their weight where it is another number; "no operation".
std::string OperationsText(const v1::TargetGroup& group);
// From the highest score on, at most `most`.
std::vector<int> BestHeads(const v1::TargetGroup& group, int most);
// The group of that name; an empty one where there is none.
const v1::TargetGroup& GroupNamed(const v1::Targets& targets, const std::string& name);
// "a - b".
std::string ContrastName(const v1::TargetContrast& contrast);
// Of the heads shown to differ, or of all where none is, the one with the largest difference. REQUIRES: there
// are differences.
int FurthestHead(const v1::TargetContrast& contrast);
// "3 of 32 heads were shown to differ (p <= 0.05, adjusted over heads)", "no head was shown to differ ...",
// or why there is no p.
std::string ContrastVerdict(const v1::TargetContrast& contrast);
// What the p is of, which is not quite the difference.
std::string ContrastBasis(const v1::TargetContrast& contrast);

// REQUIRES: of.model, which has the result.
Findings TargetsFindings(const ShownResult& of, const std::vector<SavedRun>& runs);

}  // namespace induct::client
