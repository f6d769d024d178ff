#include "absl/strings/str_cat.h"
#include "client/report/charts.h"
#include "client/report/findings.h"
#include "client/report/phrases.h"
#include "client/text.h"

namespace induct::client {
namespace {

std::string Answer(const std::string& label, const v1::LagBuckets& lags) {
  if (!lags.has_centroid_difference()) {
    return absl::StrCat("Whether longer lags peak later in ", label,
                        " cannot be said: it takes a first and a last bucket with operations and scores.");
  }
  const v1::IntervalEstimate& difference = lags.centroid_difference();
  const std::string numbers =
      absl::StrCat("the centroid of the last bucket minus the first's is ", Signed(difference.value()),
                   OptionalInterval(difference), " of the depth");
  if (!difference.has_ci_low())
    return absl::StrCat("In ", label, " ", numbers, ", without an interval to judge it by.");
  if (difference.ci_low() > 0) return absl::StrCat("Longer lags peak later in ", label, ": ", numbers, ".");
  if (difference.ci_high() < 0)
    return absl::StrCat("Longer lags do not peak later in ", label, " but earlier: ", numbers, ".");
  return absl::StrCat("Nothing was found: that longer lags peak at another depth in ", label,
                      " is not shown; ", numbers, ", and the interval holds 0.");
}

Table Buckets(const v1::LagBuckets& lags) {
  Table table{
      .header = {"lags", "copy operations", "peak depth", "centroid", "95 % interval of the centroid"}};
  for (const v1::LagBucket& bucket : lags.buckets()) {
    const v1::BootstrapEstimate& centroid = bucket.bootstrap().centroid_rel();
    table.rows.push_back({LagRange(bucket), Grouped(bucket.n_copy_ops()),
                          bucket.has_peak_depth() ? Value(bucket.peak_depth()) : "-",
                          bucket.has_centroid_rel() ? Value(bucket.centroid_rel()) : "-",
                          bucket.bootstrap().has_centroid_rel()
                              ? absl::StrCat(Value(centroid.ci_low()), " to ", Value(centroid.ci_high()))
                              : "-"});
  }
  return table;
}

}  // namespace

Findings LagFindings(const SavedModel& model) {
  const v1::LagBuckets& lags = *model.lag_buckets;
  Findings findings;
  findings.blocks.push_back(Paragraph{Answer(model.label, lags)});
  bool any = false;
  for (const v1::LagBucket& bucket : lags.buckets()) {
    any = any || bucket.n_copy_ops() > 0;
    if (bucket.n_copy_ops() == 0) {
      findings.limits.push_back(absl::StrCat(model.label, ": the bucket of ", LagRange(bucket),
                                             " is empty: no operation has such a lag."));
    } else if (!bucket.has_centroid_rel()) {
      findings.limits.push_back(
          absl::StrCat(model.label, ": the bucket of ", LagRange(bucket), " scores 0 everywhere."));
    }
  }
  if (any) findings.blocks.push_back(LagsChart(model));
  findings.blocks.push_back(Buckets(lags));
  return findings;
}

Findings PatternFindings(const SavedModel& model) {
  const v1::AttentionPattern& pattern = *model.pattern;
  Findings findings;
  findings.blocks.push_back(Paragraph{absl::StrCat(
      "The attention of ", HeadName(pattern.head().layer(), pattern.head().head()), " of ", model.label,
      " on prompt ", pattern.prompt(), ", ",
      Counted(static_cast<uint64_t>(pattern.token_ids_size()), "token"), "; ",
      pattern.targets().empty()
          ? "the score reads nothing in it."
          : absl::StrCat("the score reads ", pattern.targets_size(), " of its probabilities."))});
  if (model.attention) findings.blocks.push_back(PatternChart(model));
  return findings;
}

}  // namespace induct::client
