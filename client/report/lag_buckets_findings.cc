#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/kinds/lag_buckets.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/text.h"

namespace induct::client {
namespace {

// Where the buckets' curves peak, which has no test: the centroid, which has one, also moves with low
// attention anywhere.
std::string PeaksSentence(const v1::LagBuckets& lags) {
  std::vector<std::string> peaks;
  for (const v1::LagBucket& bucket : lags.buckets()) {
    if (bucket.has_peak_depth()) peaks.push_back(Value(bucket.peak_depth()));
  }
  if (peaks.size() < 2) return "";
  const bool same = std::equal(peaks.begin() + 1, peaks.end(), peaks.begin());
  if (same) return absl::StrCat(" The curves peak at the same relative depth, ", peaks[0], " (not tested).");
  return absl::StrCat(" From short lags to long ones the curves peak at relative depth ", Enumeration(peaks),
                      " (not tested).");
}

std::string Answer(const std::string& label, const v1::LagBuckets& lags) {
  if (!lags.has_centroid_difference()) {
    return absl::StrCat("Whether the centroid lies later with longer lags in ", label,
                        " cannot be said: it takes a first and a last bucket with operations and scores.");
  }
  const v1::IntervalEstimate& difference = lags.centroid_difference();
  const std::string numbers = absl::StrCat(Signed(difference.value()), OptionalInterval(difference),
                                           " of the depth, last bucket minus first");
  const std::string peaks = PeaksSentence(lags);
  if (!difference.has_ci_low()) {
    return absl::StrCat("The centroid of the profile of ", label, " differs by ", numbers,
                        ", without an interval to judge it by.", peaks);
  }
  if (difference.ci_low() <= 0 && difference.ci_high() >= 0) {
    return absl::StrCat("Nothing was found: that the centroid lies elsewhere with longer lags in ", label,
                        " is not shown. It differs by ", numbers, ", and the interval holds 0.", peaks);
  }
  return absl::StrCat("With longer lags the centroid of the profile of ", label, " lies ",
                      difference.value() > 0 ? "later" : "earlier", " (", numbers, ").", peaks);
}

Table Buckets(const v1::LagBuckets& lags) {
  Table table{.header = {"lags", "copy operations", "peak depth", "centroid", "95 % interval",
                         "centroid above background"}};
  for (const v1::LagBucket& bucket : lags.buckets()) {
    const v1::BootstrapEstimate& centroid = bucket.bootstrap().centroid_rel();
    table.rows.push_back(
        {LagRange(bucket), Grouped(bucket.n_copy_ops()),
         bucket.has_peak_depth() ? Value(bucket.peak_depth()) : "-",
         bucket.has_centroid_rel() ? Value(bucket.centroid_rel()) : "-",
         bucket.bootstrap().has_centroid_rel()
             ? absl::StrCat(Value(centroid.ci_low()), " to ", Value(centroid.ci_high()))
             : "-",
         bucket.has_centroid_above_background() ? Value(bucket.centroid_above_background()) : "-"});
  }
  return table;
}

}  // namespace

Findings LagBucketsFindings(const ShownResult& of, const std::vector<SavedRun>&) {
  const SavedModel& model = *of.model;
  const v1::LagBuckets& lags = *model.Get<v1::LagBuckets>();
  Findings findings;
  findings.blocks.push_back(Paragraph{Answer(model.label, lags)});
  bool any = false;
  for (const v1::LagBucket& bucket : lags.buckets()) {
    any = any || bucket.n_copy_ops() > 0;
    if (bucket.n_copy_ops() == 0 || bucket.has_centroid_rel()) continue;
    findings.limits.push_back(
        absl::StrCat(model.label, ": the bucket of ", LagRange(bucket), " scores 0 everywhere."));
  }
  if (any) findings.blocks.push_back(LagsChart(model));
  findings.blocks.push_back(Buckets(lags));
  return findings;
}

}  // namespace induct::client
