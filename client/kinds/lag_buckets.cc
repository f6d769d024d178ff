#include "client/kinds/lag_buckets.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/lag_overlay.h"
#include "client/kinds/checks.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/status.h"
#include "induct/v1/lag_buckets.pb.h"

namespace induct::client {
namespace {

using google::protobuf::Message;

absl::Status CheckLagBuckets(const Message& result, ModelSize size) {
  const auto& lags = As<v1::LagBuckets>(result);
  if (lags.buckets().empty()) return absl::DataLossError("it has no buckets");
  for (const v1::LagBucket& bucket : lags.buckets()) {
    if (bucket.n_copy_ops() == 0) continue;
    INDUCT_RETURN_IF_ERROR(CheckLists(size, {&bucket.per_layer()}));
    if (bucket.has_bootstrap()) INDUCT_RETURN_IF_ERROR(CheckBootstrap(bucket.bootstrap(), size));
  }
  return absl::OkStatus();
}

std::string LagRows(const std::string& label, const v1::LagBuckets& lags) {
  std::string text = absl::StrCat(label, ": ", lags.score(), " profile by lag\n");
  for (const v1::LagBucket& bucket : lags.buckets()) {
    std::string value =
        bucket.n_copy_ops() == 0 ? "no operations" : Counted(bucket.n_copy_ops(), "copy operation");
    if (bucket.has_centroid_rel()) absl::StrAppendFormat(&value, ", centroid %.3f", bucket.centroid_rel());
    if (bucket.bootstrap().has_centroid_rel()) {
      value += IntervalInWords(bucket.bootstrap().centroid_rel().ci_low(),
                               bucket.bootstrap().centroid_rel().ci_high());
    }
    text += Row(LagRange(bucket), value);
  }
  if (!lags.has_centroid_difference()) return text;
  return text +
         Row("centroid, last - first",
             absl::StrFormat("%+.3f of the depth%s; peaks are not tested", lags.centroid_difference().value(),
                             OptionalIntervalInWords(lags.centroid_difference())));
}

}  // namespace

AnalysisKind LagBucketsKind() {
  return {
      .field = v1::JobSpec::kLagBucketsFieldNumber,
      .commands = {{.name = "lagbuckets",
                    .help = "Profiles by lag, of one pass: does the centroid lie elsewhere at longer lags?"}},
      .topics = {"scores", "curves", "intervals", "lags"},
      .result = {.name = LagBucketsFile,
                 .prototype = &v1::LagBuckets::default_instance(),
                 .check = CheckLagBuckets},
      .summary =
          [](const ShownResult& of) {
            return LagRows(Printable(of.model->label), *of.model->Get<v1::LagBuckets>());
          },
      .has_intervals =
          [](const Message& result) {
            return std::ranges::any_of(As<v1::LagBuckets>(result).buckets(), &v1::LagBucket::has_bootstrap);
          },
      .figures = [](const ShownResult& of) { return std::vector<Figure>{LagOverlayFigure(*of.model)}; },
      .title = "Lag buckets",
      .question = "Does the centroid of the profile lie elsewhere at longer lags?",
      .definitions = {kCurveDefinition, kIntervalsDefinition,
                      "Lag buckets: the profile of the operations of each range of lags, all of one pass."},
      .suggestion = "induct-client lagbuckets --model NAME: does the centroid lie elsewhere at longer lags?",
      .findings = LagBucketsFindings};
}

}  // namespace induct::client
