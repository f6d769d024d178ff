// One head's attention pattern on one prompt, as a picture needs it.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// Longest prompt whose pattern is read: the picture of more would show no token.
inline constexpr size_t kMaxPatternTokens = 2048;

struct PatternOptions {
  int64_t batch_size = 0;  // as for engine::Pass
  int64_t activation_budget = int64_t{4} << 30;
};

// P[head, query, key] of every pair, [T, T], 0 where key > query. Layers above the head's are not run. A row
// sums to 1 up to rounding. `on_progress` (may be empty) sees the share done.
//
// INVALID_ARGUMENT: a head outside the model (field "head"), saying which there are; a prompt longer than
// kMaxPatternTokens (field "prompt"). CANCELLED. Errors of the engine as they are.
absl::StatusOr<std::vector<float>> ReadAttentionPattern(engine::Model& model, std::span<const int32_t> tokens,
                                                        engine::Head head, const PatternOptions& options,
                                                        std::stop_token stop,
                                                        const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
