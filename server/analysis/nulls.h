// A profile and its nulls, measured in one forward pass. Definitions: docs/method.md, "Nulls".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/head_permutation.h"
#include "server/analysis/profile.h"

namespace induct::analysis {

struct NullOptions {
  bool shuffle = true;  // the shuffled-antecedent nulls
  bool head_permutation = true;
  uint32_t null_resamples = 999;  // of prompts, for p_adjusted
  uint32_t permutation_resamples = 10000;
};

// Means over the operations that have candidates, by head [L, H] or by layer [L].
struct NullEffects {
  std::vector<double> observed, null_mean;
  std::vector<double> effect;  // observed - null_mean
  // Of the effect; empty without a bootstrap, with one prompt, and where no resample has the null.
  std::vector<Interval> intervals;
  std::vector<double>
      p_adjusted;  // empty with fewer than kMinTestedPrompts that have operations; none of same_distance
};

// One shuffled-antecedent null.
struct AntecedentNull {
  uint64_t n_copy_ops = 0;  // operations with candidates
  uint64_t n_dropped = 0;   // operations without
  uint32_t n_prompts = 0;   // prompts with operations that have candidates
  NullEffects heads;        // empty, as `layers`, where n_copy_ops is 0
  NullEffects layers;       // of the heads that the profile keeps
  std::string reason;       // why they are empty: a sentence
};

struct ShuffledAntecedent {
  uint32_t resamples = 0;  // of prompts, for p_adjusted
  AntecedentNull uniform, lag_matched, same_distance;
};

struct NullsResult {
  ProfileResult profile;
  std::optional<ShuffledAntecedent> shuffled;        // absent for `previous` and where not asked for
  std::optional<HeadPermutationResult> permutation;  // absent where not asked for
};

// Measures the profile and its nulls of the chosen score kind. Arguments and errors are those of
// MeasureProfile; RESOURCE_EXHAUSTED (OUT_OF_MEMORY) also where the shuffled antecedents are too many to
// list.
absl::StatusOr<NullsResult> MeasureNulls(engine::Model& model, std::span<const Prompt> prompts,
                                         const ProfileOptions& options, const NullOptions& nulls,
                                         std::stop_token stop, const LayerScoresSink& on_layer,
                                         const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
