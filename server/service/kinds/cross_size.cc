// Several models on relative depth.
#include <set>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/runs/cross_size_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

constexpr int kMinModels = 2;
constexpr int kMaxModels = 64;

v1::PairedDifference ToMessage(const analysis::PairedDifference& pair) {
  v1::PairedDifference message;
  message.set_difference(pair.difference);
  if (pair.interval) {
    message.set_ci_low(pair.interval->low);
    message.set_ci_high(pair.interval->high);
  }
  if (pair.interval90) {
    message.set_ci90_low(pair.interval90->low);
    message.set_ci90_high(pair.interval90->high);
  }
  if (pair.equivalent) message.set_equivalent(*pair.equivalent);
  return message;
}

v1::CrossSize ToMessage(const runs::CrossSizeResult& result) {
  v1::CrossSize message;
  message.mutable_models()->Assign(result.models.begin(), result.models.end());
  for (const runs::ModelPair& pair : result.pairs) {
    v1::ModelPair& shown = *message.add_pairs();
    const analysis::ProfileComparison& comparison = pair.comparison;
    shown.set_model_a(pair.model_a);
    shown.set_model_b(pair.model_b);
    if (comparison.peak_depth) *shown.mutable_peak_depth() = ToMessage(*comparison.peak_depth);
    if (comparison.centroid_rel) *shown.mutable_centroid_rel() = ToMessage(*comparison.centroid_rel);
    if (comparison.bandwidth_interpolated)
      *shown.mutable_bandwidth_interpolated() = ToMessage(*comparison.bandwidth_interpolated);
    if (comparison.pearson_r) shown.set_pearson_r(*comparison.pearson_r);
    if (comparison.overlap) shown.set_overlap(*comparison.overlap);
  }
  return message;
}

absl::Status CheckCrossSize(const v1::JobSpec& spec, const SpecLimits&) {
  const v1::CrossSizeSpec& cross_size = spec.cross_size();
  const int n_models = cross_size.models_size();
  if (n_models < kMinModels || n_models > kMaxModels) {
    return InvalidField(
        "models", absl::StrCat(n_models, n_models == 1 ? " model" : " models", " given; a comparison takes ",
                               kMinModels, " to ", kMaxModels));
  }
  std::set<std::string> seen;
  for (const std::string& model : cross_size.models()) {
    if (!seen.insert(model).second) return InvalidField("models", absl::StrCat(model, " is given twice"));
  }
  if (cross_size.profile().model().empty()) return absl::OkStatus();
  return InvalidField("profile.model", "the models of a comparison stand in the field models");
}

std::unique_ptr<jobs::Work> MakeCrossSizeWork(const v1::JobSpec&, runs::RunRequest request,
                                              const runs::RunEnvironment& environment) {
  const auto encode = [](const std::string&, const runs::CrossSizeResult& result) {
    return Encode(ToMessage(result));
  };
  return runs::NewCrossSizeRun(std::move(request), encode, environment);
}

}  // namespace

const JobKind kCrossSizeKind = {.name = "crosssize", .check = CheckCrossSize, .make_work = MakeCrossSizeWork};

}  // namespace induct::service
