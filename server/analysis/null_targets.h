// What a pass must read for the shuffled-antecedent nulls. Definition: docs/method.md, "Nulls".
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/copy_operations.h"
#include "server/analysis/prompts.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// Bytes that the targets of a job may take. A lag-matched null reads a query at every lag that occurs, so
// that its targets may come to the square of the tokens.
inline constexpr uint64_t kMaxNullTargetBytes = uint64_t{2} << 30;

enum class AntecedentNullKind { kUniform, kLagMatched };
inline constexpr std::array<AntecedentNullKind, 2> kAntecedentNullKinds = {AntecedentNullKind::kUniform,
                                                                           AntecedentNullKind::kLagMatched};

// One null's operations, and its two readout groups.
struct NullTargets {
  uint32_t observed_group = 0;    // sums what the latest antecedent gives
  uint32_t effect_group = 0;      // sums that minus the null's value, up to `constants`
  std::vector<uint32_t> counts;   // [N]: operations with candidates
  std::vector<double> constants;  // [N]: to add to each head's sum of effect_group
  uint64_t n_copy_ops = 0;        // with candidates
  uint64_t n_dropped = 0;         // without
};

struct AntecedentNullTargets {
  std::vector<std::vector<engine::ReadoutTarget>> of_prompt;  // [N]
  std::array<NullTargets, kAntecedentNullKinds.size()> nulls;
  std::vector<uint32_t> lags;  // that occur among all operations of the kind, rising
  uint32_t end_group = 0;      // one past the last group
};

// Targets of the operations of `kind` (not kPrevious), in groups from `first_group` on.
//
// A query's probabilities sum to 1 over all keys. So the uniform null, a mean over nearly all earlier
// positions, is read by what it leaves out: 1 minus the probabilities of the few positions that are no
// candidates. CANCELLED when `stop` is requested; RESOURCE_EXHAUSTED (OUT_OF_MEMORY), before anything is
// made, where the targets may take more than kMaxNullTargetBytes.
absl::StatusOr<AntecedentNullTargets> FindNullTargets(std::span<const Prompt> prompts, ScoreKind kind,
                                                      Antecedents antecedents, uint32_t min_lag,
                                                      uint32_t first_group, const std::stop_token& stop);

}  // namespace induct::analysis
