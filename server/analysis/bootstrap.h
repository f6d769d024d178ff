// Bootstrap over prompts within strata. Definition: docs/method.md, "Uncertainty".
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/interval.h"
#include "server/analysis/layer_profile.h"
#include "server/analysis/resampling.h"

namespace induct::analysis {

// The row of a prompt without operations.
inline constexpr uint32_t kNoRow = UINT32_MAX;

struct BootstrapInput {
  std::span<const double> sums;      // [rows, L, H]: sums over each prompt's operations
  std::span<const uint32_t> counts;  // [N]: operations of each prompt
  // [N]: each prompt's row of `sums`; kNoRow, where it has no operations: all are 0. Empty: row i is prompt
  // i's.
  std::span<const uint32_t> rows = {};
  uint32_t n_layers = 0, n_heads = 0;
  std::span<const uint32_t> kept;  // [L, n_kept]: ranked once on all data and held fixed
  uint32_t n_kept = 0;
  const Strata* strata = nullptr;
  uint32_t resamples = 1000;
  uint64_t seed = 0;
  // [N] operations on the other side of a paired comparison, which so gets the same resamples; empty: none.
  std::span<const uint32_t> paired_counts = {};
};

// What every resample gives.
struct ResampledScores {
  std::vector<Interval> heads;  // [L, H]
  std::vector<double> curves;   // [resamples, L]: mean of the kept heads
};

// Rows of sums that every resample weighs anew.
struct WeighedRows {
  std::vector<const double*> rows;  // each [L, H]
  uint32_t n_layers = 0, n_heads = 0;
  std::span<const uint32_t> kept;  // as in BootstrapInput
  uint32_t n_kept = 0;
  double tail_share = 0;
  uint32_t resamples = 1000;
  // Sets the weight of every row in resample r, and returns what their weighed sum is divided by, > 0. The
  // same whenever it is called for r.
  std::function<double(uint32_t r, std::span<double> weights)> weigh;
};

// The scores of every resample. REQUIRES: resamples > 0. Time is resamples * rows * L * H. Memory beyond the
// input and the result is bounded: layers are worked on in blocks whose resampled scores take some 16 MiB,
// and the weights are made again for each block. CANCELLED when `stop` is requested.
absl::StatusOr<ResampledScores> ResampleRows(const WeighedRows& rows, const std::stop_token& stop);

// The statistics of one resample's curve: one that is 0 everywhere counts as a peak in the first layer, and
// as 0 for the centroid and the width.
LayerStatistics SummarizeResample(std::span<const double> curve);

struct BootstrapResult {
  uint32_t resamples = 0;
  std::vector<Interval> per_layer;           // [L]
  std::vector<Interval> heads;               // [L, H]
  std::vector<double> peak_layer_frequency;  // [L], sums to 1
  Estimate peak_depth, centroid_rel, bandwidth_interpolated;
};

// Resamples prompts as a Resampler does, sums and counts together. Prompts without operations take part, with
// a sum and a count of 0. Intervals are those of TailShare.
//
// REQUIRES: what a Resampler requires, resamples > 0. Time and memory are those of ResampleRows.
//
// CANCELLED when `stop` is requested; INVALID_ARGUMENT where the shapes do not fit each other.
absl::StatusOr<ResampledScores> ResampleScores(const BootstrapInput& input, std::stop_token stop);

// The same, and what follows from it for a profile. Errors as above.
absl::StatusOr<BootstrapResult> BootstrapProfile(const BootstrapInput& input, std::stop_token stop);

}  // namespace induct::analysis
