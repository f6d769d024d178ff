#include "server/analysis/lag_buckets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/cross_size.h"
#include "server/analysis/resampling.h"
#include "server/analysis/score_pass.h"

namespace induct::analysis {
namespace {

// What a pass must read: a readout group a bucket.
struct BucketTargets {
  std::vector<std::vector<engine::ReadoutTarget>> of_prompt;  // [N]
  std::vector<std::vector<uint32_t>> counts;                  // of each bucket [N]
  std::vector<uint64_t> n_copy_ops;                           // of each bucket

  uint64_t total() const {
    uint64_t sum = 0;
    for (const uint64_t n : n_copy_ops) sum += n;
    return sum;
  }

  // The buckets with operations. A prompt mostly has operations of one lag, so that what is kept of all
  // buckets is little more than what a profile keeps.
  std::vector<KeptGroup> FilledBuckets() const {
    std::vector<KeptGroup> filled;
    for (uint32_t i = 0; i < n_copy_ops.size(); ++i) {
      if (n_copy_ops[i] > 0) filled.push_back({.group = i, .counts = counts[i]});
    }
    return filled;
  }
};

absl::Status CheckScore(ScoreKind score) {
  if (score != ScoreKind::kPrevious) return absl::OkStatus();
  return InvalidField("score",
                      "previous reads the position before the query, whatever the lag; lag buckets "
                      "are of induction or duplicate");
}

absl::StatusOr<BucketTargets> FindBucketTargets(std::span<const Prompt> prompts,
                                                const ProfileOptions& options,
                                                std::span<const uint32_t> edges,
                                                const std::stop_token& stop) {
  BucketTargets targets{.counts = std::vector(edges.size() + 1, std::vector<uint32_t>(prompts.size())),
                        .n_copy_ops = std::vector<uint64_t>(edges.size() + 1)};
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (stop.stop_requested()) return Stopped("while looking for copy operations");
    std::vector<engine::ReadoutTarget>& of_prompt = targets.of_prompt.emplace_back();
    for (const CopyOperation& operation : FindCopyOperations(
             prompts[i].tokens, prompts[i].n_bos, options.score, options.antecedents, options.min_lag)) {
      // The first edge that is no smaller than the lag ends its bucket.
      const auto bucket =
          static_cast<uint32_t>(std::lower_bound(edges.begin(), edges.end(), operation.lag) - edges.begin());
      for (const uint32_t key : operation.keys)
        of_prompt.push_back({.query = operation.query, .key = key, .group = bucket});
      ++targets.counts[bucket][i];
      ++targets.n_copy_ops[bucket];
    }
  }
  return targets;
}

// The chosen kind's scores of a layer, over all lags.
LayerScores OverAllLags(const BucketTargets& targets, const ScoreSums& sums, uint32_t layer,
                        const ProfileOptions& options) {
  const size_t n_heads = sums.shape().n_heads;
  LayerScores::Kind kind{
      .kind = options.score, .n_copy_ops = targets.total(), .values = std::vector<double>(n_heads)};
  for (uint32_t bucket = 0; bucket < sums.shape().n_groups; ++bucket) {
    const std::span<const double> of_layer = sums.of_group(bucket).subspan(layer * n_heads, n_heads);
    for (size_t head = 0; head < n_heads; ++head) kind.values[head] += of_layer[head];
  }
  for (double& value : kind.values) value /= static_cast<double>(kind.n_copy_ops);
  return {.layer = layer, .kinds = {std::move(kind)}};
}

// A bucket, and what comparing it needs.
struct MeasuredBucket {
  LagBucket bucket;
  BootstrapInput bootstrap;    // its kept heads are `kept`
  std::vector<uint32_t> kept;  // [L, n_kept]

  ComparedProfile Compared() const { return {.per_layer = bucket.per_layer, .bootstrap = bootstrap}; }
};

// Fills a bucket with operations. `strata` may be null: no bootstrap.
absl::Status FillBucket(const ScoreSums& sums, uint32_t group, std::span<const uint32_t> counts,
                        const ProfileOptions& options, const Strata* strata, const std::stop_token& stop,
                        MeasuredBucket& measured) {
  LagBucket& bucket = measured.bucket;
  const uint32_t n_layers = sums.shape().n_layers, n_heads = sums.shape().n_heads;
  for (const double sum : sums.of_group(group))
    bucket.scores.push_back(static_cast<float>(sum / static_cast<double>(bucket.n_copy_ops)));
  const std::span<const float> scores = bucket.scores;
  const uint32_t n_kept = HeadsKept(options.aggregation, options.high_score_quantile, n_heads);
  measured.kept = RankHeads(scores, n_layers, n_heads, n_kept);
  bucket.per_layer = MeansOfKept(scores, measured.kept, n_layers);
  bucket.statistics = SummarizeProfile(bucket.per_layer);
  measured.bootstrap = {.sums = sums.of_prompts(group),
                        .counts = counts,
                        .rows = sums.rows_of_prompts(group),
                        .n_layers = n_layers,
                        .n_heads = n_heads,
                        .kept = measured.kept,
                        .n_kept = n_kept,
                        .strata = strata,
                        .resamples = options.bootstrap_resamples,
                        .seed = options.seed};
  if (strata == nullptr) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(bucket.bootstrap, BootstrapProfile(measured.bootstrap, stop));
  return absl::OkStatus();
}

// "Longer lags peak later?": absent where either bucket has no centroid.
absl::StatusOr<std::optional<IntervalEstimate>> CentroidDifference(const MeasuredBucket& first,
                                                                   const MeasuredBucket& last,
                                                                   bool with_bootstrap,
                                                                   const std::stop_token& stop) {
  if (first.bucket.per_layer.empty() || last.bucket.per_layer.empty()) return std::nullopt;
  INDUCT_ASSIGN_OR_RETURN(const ProfileComparison comparison,
                          CompareProfiles(first.Compared(), last.Compared(), with_bootstrap, stop));
  if (!comparison.centroid_rel) return std::nullopt;
  return IntervalEstimate{.value = comparison.centroid_rel->difference,
                          .interval = comparison.centroid_rel->interval};
}

void WarnOfBuckets(const BucketTargets& targets, LagBucketsResult& result) {
  for (size_t i = 0; i < result.buckets.size(); ++i) {
    const LagBucket& bucket = result.buckets[i];
    const std::string name =
        absl::StrCat("the bucket of lag ", bucket.min_lag,
                     bucket.max_lag == 0 ? " and more" : absl::StrCat(" to ", bucket.max_lag));
    if (bucket.n_copy_ops == 0) {
      result.warnings.push_back(absl::StrCat(name, " is empty: no operation has such a lag"));
    } else if (bucket.bootstrap && RestsOnOnePrompt(targets.counts[i])) {
      result.warnings.push_back(absl::StrCat(
          name, " has operations of one prompt alone, so its intervals have no width, and that of a ",
          "difference to it is too narrow; they come from resampling prompts"));
    }
  }
}

// The buckets from their sums.
absl::Status SummarizeBucket(std::span<const Prompt> prompts, std::span<const uint32_t> edges,
                             const BucketTargets& targets, const ScoreSums& sums, const std::stop_token& stop,
                             LagBucketsResult& result) {
  const std::optional<Strata> strata =
      StrataToResample(prompts, result.options.bootstrap_resamples, result.warnings);
  std::vector<MeasuredBucket> measured(edges.size() + 1);
  for (uint32_t i = 0; i < measured.size(); ++i) {
    measured[i].bucket = {.min_lag = i == 0 ? 1 : edges[i - 1] + 1,
                          .max_lag = i < edges.size() ? edges[i] : 0,
                          .n_copy_ops = targets.n_copy_ops[i]};
    if (targets.n_copy_ops[i] == 0) continue;
    INDUCT_RETURN_IF_ERROR(FillBucket(sums, i, targets.counts[i], result.options, strata ? &*strata : nullptr,
                                      stop, measured[i]));
  }
  if (measured.size() > 1) {
    INDUCT_ASSIGN_OR_RETURN(result.centroid_difference,
                            CentroidDifference(measured.front(), measured.back(), strata.has_value(), stop));
  }
  for (MeasuredBucket& each : measured) result.buckets.push_back(std::move(each.bucket));
  WarnOfBuckets(targets, result);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LagBucketsResult> MeasureLagBuckets(engine::Model& model, std::span<const Prompt> prompts,
                                                   const ProfileOptions& options,
                                                   std::span<const uint32_t> edges, std::stop_token stop,
                                                   const LayerScoresSink& on_layer,
                                                   const engine::ProgressSink& on_progress) {
  INDUCT_RETURN_IF_ERROR(CheckScore(options.score));
  INDUCT_RETURN_IF_ERROR(CheckArguments(prompts, options));
  INDUCT_ASSIGN_OR_RETURN(const BucketTargets targets, FindBucketTargets(prompts, options, edges, stop));
  INDUCT_RETURN_IF_ERROR(CheckHasOperations(targets.total(), prompts.size(), options));

  LagBucketsResult result{.options = options,
                          .n_layers = static_cast<uint32_t>(model.spec().n_layers),
                          .n_heads = static_cast<uint32_t>(model.spec().n_heads)};
  ScoreSums sums({.n_prompts = static_cast<uint32_t>(prompts.size()),
                  .n_layers = result.n_layers,
                  .n_heads = result.n_heads,
                  .n_groups = static_cast<uint32_t>(targets.n_copy_ops.size())},
                 targets.FilledBuckets(), model.options().dtype);
  const auto layer_done = [&](uint32_t layer) {
    return on_layer ? on_layer(OverAllLags(targets, sums, layer, options)) : absl::OkStatus();
  };
  INDUCT_RETURN_IF_ERROR(
      RunScorePass(model, prompts, targets.of_prompt, options, stop, layer_done, on_progress, sums));
  INDUCT_RETURN_IF_ERROR(SummarizeBucket(prompts, edges, targets, sums, stop, result));
  return result;
}

}  // namespace induct::analysis
