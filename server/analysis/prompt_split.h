// The two halves of a job's prompts: one to choose heads on, one to measure them on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/analysis/prompts.h"

namespace induct::analysis {

// Indices of prompts, rising; each prompt is in one half.
struct PromptSplit {
  std::vector<uint32_t> selection, evaluation;
};

// Splits at random within each task and lag (TEXT and TOKENS together). Where one of them has an odd number
// of prompts, the halves take turns in getting one more, so that they differ by at most one overall. With two
// prompts or more neither half is empty. Stratum s, by first appearance, draws from Random(seed,
// "causal_split", s).
PromptSplit SplitPrompts(std::span<const Prompt> prompts, uint64_t seed);

}  // namespace induct::analysis
