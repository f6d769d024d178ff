// Positions whose token could be copied from earlier in the prompt. Definition: docs/method.md, "Causal
// ablation".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/analysis/copy_operations.h"

namespace induct::analysis {

// The positions t, rising, whose pair (tokens[t - 1], tokens[t]), t - 1 >= n_bos, stands earlier at positions
// >= n_bos: exactly once (kFirst), or at least once (kNearest, kAll). Linear in the row's length.
std::vector<uint32_t> PredictablePositions(std::span<const int32_t> tokens, uint32_t n_bos,
                                           Antecedents antecedents);

}  // namespace induct::analysis
