// A profile by lag.
#include "common/status.h"
#include "server/runs/lag_buckets_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

v1::LagBucket ToMessage(const analysis::LagBucket& bucket, uint32_t n_layers, uint32_t n_heads) {
  v1::LagBucket message;
  message.set_min_lag(bucket.min_lag);
  message.set_max_lag(bucket.max_lag);
  message.set_n_copy_ops(static_cast<uint32_t>(bucket.n_copy_ops));
  if (bucket.n_copy_ops == 0) return message;
  Assign(bucket.per_layer, message.mutable_per_layer());
  *message.mutable_scores() = ToMatrix(bucket.scores, n_layers, n_heads);
  if (bucket.statistics) message.set_peak_depth(bucket.statistics->peak_depth);
  if (bucket.statistics && bucket.statistics->centroid_rel)
    message.set_centroid_rel(*bucket.statistics->centroid_rel);
  if (bucket.statistics && bucket.statistics->centroid_above_background)
    message.set_centroid_above_background(*bucket.statistics->centroid_above_background);
  if (bucket.bootstrap) *message.mutable_bootstrap() = ToBootstrap(*bucket.bootstrap, n_layers, n_heads);
  return message;
}

v1::LagBuckets ToMessage(const std::string& model, const analysis::LagBucketsResult& result) {
  v1::LagBuckets message;
  message.set_model(model);
  SetOptions(result.options, &message);
  SetAggregation(result.options, &message);
  for (const analysis::LagBucket& bucket : result.buckets)
    *message.add_buckets() = ToMessage(bucket, result.n_layers, result.n_heads);
  if (result.centroid_difference)
    *message.mutable_centroid_difference() = ToEstimate(*result.centroid_difference);
  return message;
}

absl::Status CheckLagBuckets(const v1::JobSpec& spec, const SpecLimits&) {
  if (spec.lag_buckets().profile().run().score() != "previous") return absl::OkStatus();
  return InvalidField("score",
                      "the score kind previous has no lags; lag buckets are of induction or duplicate");
}

std::unique_ptr<jobs::Work> MakeLagBucketsWork(const v1::JobSpec& spec, runs::RunRequest request,
                                               const runs::RunEnvironment& environment) {
  const auto& edges = spec.lag_buckets().profile().evaluation().lag_edges();
  const auto encode = [](const std::string& model, const analysis::LagBucketsResult& result) {
    return Encode(ToMessage(model, result));
  };
  return runs::NewLagBucketsRun(std::move(request), {edges.begin(), edges.end()}, encode, environment);
}

}  // namespace

const JobKind kLagBucketsKind = {
    .name = "lagbuckets", .check = CheckLagBuckets, .make_work = MakeLagBucketsWork};

}  // namespace induct::service
