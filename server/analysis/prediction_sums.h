// What variants of a model predict on some prompts, summed over the positions of each metric.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/copy_operations.h"
#include "server/analysis/prompts.h"
#include "server/engine/engine.h"

namespace induct::analysis {

// Sums over the positions of one metric. V variants, N prompts.
struct MetricSums {
  std::vector<double> sums;      // [V, N]
  std::vector<uint32_t> counts;  // [N]: positions, the same for every variant
};

struct PredictionSums {
  MetricSums copy_accuracy, copy_nll;  // over the predictable positions
  MetricSums other_nll;                // over all others with t - 1 >= n_bos
};

// Bytes that the sums of a pass may take.
inline constexpr uint64_t kMaxPredictionSumBytes = uint64_t{4} << 30;

struct VariantPass {
  std::span<const Prompt> prompts;                      // all with the same n_bos
  std::span<const std::vector<engine::Head>> variants;  // heads ablated in each
  std::span<const float> replacement;                   // as of engine::AblationPass
  // Which positions are predictable (predictable_positions.h); absent: none is.
  std::optional<Antecedents> antecedents;
  int64_t batch_size = 0;  // as of engine::AblationPass
  int64_t activation_budget = int64_t{4} << 30;
};

// One pass of all variants over all prompts; `on_progress` may be empty. FAILED_PRECONDITION
// (NON_FINITE_SCORES) naming the heads ablated, prompt and position; INTERNAL where the engine's predictions
// do not fit the pass; RESOURCE_EXHAUSTED (OUT_OF_MEMORY), before anything is made, where the sums would take
// more than kMaxPredictionSumBytes; CANCELLED; errors of the engine as they are.
absl::StatusOr<PredictionSums> SumPredictions(engine::Model& model, const VariantPass& pass,
                                              std::stop_token stop, const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
