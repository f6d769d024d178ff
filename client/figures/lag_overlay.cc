#include "client/figures/lag_overlay.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/depth_overlay.h"
#include "client/text.h"

namespace induct::client {
namespace {

std::string BucketName(const v1::LagBucket& bucket) {
  return bucket.max_lag() == 0 ? absl::StrCat(bucket.min_lag(), "-")
                               : absl::StrCat(bucket.min_lag(), "-", bucket.max_lag());
}

std::string KeyLabel(const v1::LagBucket& bucket) {
  const std::string lag = LagRange(bucket);
  if (bucket.n_copy_ops() == 0) return absl::StrCat(lag, ": no operations");
  const std::string counted = absl::StrCat(lag, ", ", Counted(bucket.n_copy_ops(), "operation"));
  if (!bucket.has_centroid_rel()) return absl::StrCat(counted, ": 0 everywhere");
  const std::string centroid = absl::StrFormat("%s: centroid %.3f", counted, bucket.centroid_rel());
  if (!bucket.bootstrap().has_centroid_rel()) return centroid;
  const v1::BootstrapEstimate& estimate = bucket.bootstrap().centroid_rel();
  return absl::StrCat(centroid, IntervalText(estimate.ci_low(), estimate.ci_high()));
}

// "centroid, last - first bucket: +0.031 [0.012, 0.050]".
std::string DifferenceText(const v1::LagBuckets& lags) {
  if (!lags.has_centroid_difference()) return "no difference of centroids between last and first bucket";
  const v1::IntervalEstimate& difference = lags.centroid_difference();
  return absl::StrCat(absl::StrFormat("centroid, last - first bucket: %+.3f", difference.value()),
                      difference.has_ci_low() ? IntervalText(difference.ci_low(), difference.ci_high()) : "");
}

}  // namespace

Figure LagOverlayFigure(const SavedModel& model) {
  const v1::LagBuckets& lags = *model.Get<v1::LagBuckets>();
  std::vector<DepthCurve> curves;
  bool bands = false;
  for (const v1::LagBucket& bucket : lags.buckets()) {
    DepthCurve& curve =
        curves.emplace_back(DepthCurve{.name = BucketName(bucket), .label = KeyLabel(bucket)});
    if (bucket.n_copy_ops() == 0) continue;
    curve.values = {bucket.per_layer().begin(), bucket.per_layer().end()};
    curve.band = bucket.bootstrap().per_layer();
    if (bucket.has_centroid_rel()) curve.centroid = bucket.centroid_rel();
    bands = bands || bucket.has_bootstrap();
  }
  Figure figure = DepthOverlayFigure(absl::StrCat("lag_overlay_", model.use.name()), curves,
                                     absl::StrCat(lags.score(), " score of kept heads"));
  figure.title = {model.label,
                  absl::StrCat(lags.score(), " profile by lag; dashed: centroids",
                               bands ? "; bands: pointwise 95 % intervals (bootstrap over prompts)" : ""),
                  DifferenceText(lags), Operations(lags)};
  return figure;
}

}  // namespace induct::client
