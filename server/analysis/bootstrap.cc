#include "server/analysis/bootstrap.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/layer_profile.h"

namespace induct::analysis {
namespace {

// Resampled scores kept at a time.
constexpr size_t kBlockBytes = size_t{16} << 20;
// Resamples that are summed together, and scores that they are summed over before the next prompt: a tile's
// sums stay in the processor's first-level cache, and each prompt's sums are read from memory once for all of
// its resamples.
constexpr uint32_t kGroup = 8;
constexpr size_t kTile = 256;

// Resampled scores of the layers [first_layer, first_layer + n_layers).
struct LayerBlock {
  uint32_t first_layer = 0, n_layers = 0;
  size_t width = 0;            // n_layers * H
  std::vector<double> scores;  // [resamples, width]
};

uint32_t RowOf(const BootstrapInput& input, size_t prompt) {
  return input.rows.empty() ? static_cast<uint32_t>(prompt) : input.rows[prompt];
}

// Whether every prompt with operations has its sums.
bool RowsFit(const BootstrapInput& input, size_t n_scores) {
  const size_t n = input.counts.size();
  if (input.rows.empty()) return input.sums.size() == n * n_scores;
  if (input.rows.size() != n || input.sums.size() % n_scores != 0) return false;
  for (size_t i = 0; i < n; ++i) {
    const bool without_any = input.rows[i] == kNoRow && input.counts[i] == 0;
    if (!without_any && input.rows[i] >= input.sums.size() / n_scores) return false;
  }
  return true;
}

absl::Status CheckInput(const BootstrapInput& input) {
  const size_t n = input.counts.size(), n_scores = size_t{input.n_layers} * input.n_heads;
  const bool fits = input.strata != nullptr && input.strata->of_prompt.size() == n && n_scores > 0 &&
                    RowsFit(input, n_scores) && input.kept.size() == size_t{input.n_layers} * input.n_kept &&
                    input.n_kept > 0;
  const bool is_paired = !input.paired_counts.empty();
  const bool can_be_drawn = fits && n >= 2 && (!is_paired || input.paired_counts.size() == n) &&
                            CanResample(*input.strata, input.counts, input.paired_counts);
  if (can_be_drawn && input.resamples > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a bootstrap needs 2 prompts, 1 resample and 1 operation at least, and arrays of one shape; there are ",
      n, " prompts, ", input.resamples, " resamples, ", input.sums.size(), " sums, ", input.kept.size(),
      " kept heads for ", input.n_layers, " x ", input.n_heads, " heads"));
}

// target += weight * source. The pointers never overlap, so that the compiler may use vector instructions.
void AddWeighted(double weight, const double* __restrict source, double* __restrict target, size_t n) {
  for (size_t i = 0; i < n; ++i) target[i] += weight * source[i];
}

// Fills the block's scores for the resamples [first, first + divisors.size()). `weights` is [resamples,
// rows].
void ScoreGroup(const WeighedRows& input, uint32_t first, std::span<const double> divisors,
                std::span<const double> weights, LayerBlock& block) {
  const size_t n_rows = input.rows.size(), offset = size_t{block.first_layer} * input.n_heads;
  double* scores = block.scores.data() + first * block.width;  // zero so far
  for (size_t tile = 0; tile < block.width; tile += kTile) {
    const size_t n = std::min(kTile, block.width - tile);
    for (size_t row = 0; row < n_rows; ++row) {
      for (size_t r = 0; r < divisors.size(); ++r) {
        const double weight = weights[r * n_rows + row];
        if (weight == 0) continue;
        AddWeighted(weight, input.rows[row] + offset + tile, scores + r * block.width + tile, n);
      }
    }
  }
  for (size_t r = 0; r < divisors.size(); ++r) {
    for (size_t i = 0; i < block.width; ++i) scores[r * block.width + i] /= divisors[r];
  }
}

// The scores of every resample in the block's layers.
absl::Status ScoreBlock(const WeighedRows& input, const std::stop_token& stop, LayerBlock& block) {
  const size_t n_rows = input.rows.size();
  block.width = size_t{block.n_layers} * input.n_heads;
  block.scores.assign(input.resamples * block.width, 0.0);
  std::vector<double> weights(kGroup * n_rows), divisors;
  for (uint32_t first = 0; first < input.resamples; first += kGroup) {
    if (stop.stop_requested()) return Stopped("during the bootstrap");
    divisors.clear();
    for (uint32_t r = first; r < std::min(first + kGroup, input.resamples); ++r)
      divisors.push_back(input.weigh(r, std::span(weights).subspan(divisors.size() * n_rows, n_rows)));
    ScoreGroup(input, first, divisors, weights, block);
  }
  return absl::OkStatus();
}

// Appends the intervals of the block's heads, and fills its layers of the curves.
void SummarizeBlock(const WeighedRows& input, const LayerBlock& block, ResampledScores& result) {
  for (size_t i = 0; i < block.width; ++i)
    result.heads.push_back(IntervalOf(Column(block.scores, block.width, i), input.tail_share));
  for (uint32_t r = 0; r < input.resamples; ++r) {
    for (uint32_t l = 0; l < block.n_layers; ++l) {
      const uint32_t layer = block.first_layer + l;
      const std::span<const double> scores(&block.scores[r * block.width + size_t{l} * input.n_heads],
                                           input.n_heads);
      result.curves[size_t{r} * input.n_layers + layer] =
          MeanOfKept(scores, input.kept.subspan(size_t{layer} * input.n_kept, input.n_kept));
    }
  }
}

// Fills what follows from the resampled profiles, `curves` [resamples, L].
void SummarizeCurves(const BootstrapInput& input, std::span<const double> curves, BootstrapResult& result) {
  const uint32_t n_layers = input.n_layers;
  const double tail_share = TailShare(*input.strata);
  std::vector<double> peak_depths, centroids, widths;
  result.peak_layer_frequency.assign(n_layers, 0.0);
  for (uint32_t r = 0; r < input.resamples; ++r) {
    const LayerStatistics statistics = SummarizeResample(curves.subspan(size_t{r} * n_layers, n_layers));
    peak_depths.push_back(statistics.peak_depth);
    centroids.push_back(statistics.centroid_rel.value_or(0.0));
    widths.push_back(statistics.bandwidth_interpolated.value_or(0.0));
    result.peak_layer_frequency[statistics.peak_layer] += 1;
  }
  for (double& frequency : result.peak_layer_frequency) frequency /= input.resamples;
  result.peak_depth = EstimateOf(std::move(peak_depths), tail_share);
  result.centroid_rel = EstimateOf(std::move(centroids), tail_share);
  result.bandwidth_interpolated = EstimateOf(std::move(widths), tail_share);
  result.per_layer = CurveIntervals(curves, n_layers, tail_share);
}

}  // namespace

LayerStatistics SummarizeResample(std::span<const double> curve) {
  const LayerStatistics of_zero_curve{.peak_depth = 0.5 / static_cast<double>(curve.size())};
  return SummarizeProfile(curve).value_or(of_zero_curve);
}

absl::StatusOr<ResampledScores> ResampleRows(const WeighedRows& rows, const std::stop_token& stop) {
  const size_t layer_bytes = size_t{rows.resamples} * rows.n_heads * sizeof(double);
  const auto layers_at_once =
      static_cast<uint32_t>(std::clamp<size_t>(kBlockBytes / layer_bytes, 1, rows.n_layers));
  ResampledScores result{.curves = std::vector<double>(size_t{rows.resamples} * rows.n_layers)};
  LayerBlock block;
  for (uint32_t layer = 0; layer < rows.n_layers; layer += layers_at_once) {
    block.first_layer = layer;
    block.n_layers = std::min(layers_at_once, rows.n_layers - layer);
    INDUCT_RETURN_IF_ERROR(ScoreBlock(rows, stop, block));
    SummarizeBlock(rows, block, result);
  }
  return result;
}

absl::StatusOr<ResampledScores> ResampleScores(const BootstrapInput& input, std::stop_token stop) {
  INDUCT_RETURN_IF_ERROR(CheckInput(input));
  WeighedRows rows{.n_layers = input.n_layers,
                   .n_heads = input.n_heads,
                   .kept = input.kept,
                   .n_kept = input.n_kept,
                   .tail_share = TailShare(*input.strata),
                   .resamples = input.resamples};
  std::vector<size_t> prompts;  // of the rows
  for (size_t prompt = 0; prompt < input.counts.size(); ++prompt) {
    const uint32_t row = RowOf(input, prompt);
    if (row == kNoRow) continue;
    prompts.push_back(prompt);
    rows.rows.push_back(&input.sums[size_t{row} * input.n_layers * input.n_heads]);
  }
  const Resampler resampler(*input.strata, input.counts, input.seed, input.paired_counts);
  std::vector<double> of_prompts(input.counts.size());
  rows.weigh = [&](uint32_t r, std::span<double> weights) {
    const double n_operations = resampler.Draw(r, of_prompts);
    for (size_t i = 0; i < prompts.size(); ++i) weights[i] = of_prompts[prompts[i]];
    return n_operations;
  };
  return ResampleRows(rows, stop);
}

absl::StatusOr<BootstrapResult> BootstrapProfile(const BootstrapInput& input, std::stop_token stop) {
  INDUCT_ASSIGN_OR_RETURN(ResampledScores resampled, ResampleScores(input, stop));
  BootstrapResult result{.resamples = input.resamples, .heads = std::move(resampled.heads)};
  SummarizeCurves(input, resampled.curves, result);
  return result;
}

}  // namespace induct::analysis
