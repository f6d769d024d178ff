#include "client/kinds/profile.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/heatmap.h"
#include "client/figures/profile_curve.h"
#include "client/kinds/checks.h"
#include "client/report/run_settings.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/status.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {
namespace {

using google::protobuf::Message;

constexpr int kHeadsShown = 5;

absl::Status CheckProfile(const Message& result, ModelSize size) {
  const auto& profile = As<v1::Profile>(result);
  if (profile.n_layers() != size.n_layers || profile.n_heads() != size.n_heads)
    return absl::DataLossError("it is of a model of another size than metadata.json says");
  for (const v1::TopHead& head : profile.top_heads()) {
    if (head.layer() >= size.n_layers || head.head() >= size.n_heads)
      return absl::DataLossError("a head lies outside the model");
  }
  if (profile.has_peak_layer() && profile.peak_layer() >= size.n_layers)
    return absl::DataLossError("its peak lies outside the model");
  INDUCT_RETURN_IF_ERROR(CheckLists(size, {&profile.per_layer()}));
  return profile.has_bootstrap() ? CheckBootstrap(profile.bootstrap(), size) : absl::OkStatus();
}

std::vector<ArrayFile> ProfileArrays(const Message&, const std::string& model, ModelSize size) {
  return {{ScoresFile(model), {size.n_layers, size.n_heads}}};
}

std::string TopHeadText(const v1::TopHead& head) {
  std::string text = absl::StrFormat("layer %d head %d: %.3f", head.layer(), head.head(), head.score());
  if (head.has_ci_low() && head.has_ci_high())
    absl::StrAppendFormat(&text, " [%.3f, %.3f]", head.ci_low(), head.ci_high());
  return text;
}

// Named as in the JSON: peak_layer, peak_depth, centroid_rel, bandwidth_interpolated.
std::string CurveRows(const v1::Profile& profile) {
  if (!profile.has_peak_layer()) return "no head scores above 0: there is no peak\n";
  const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
  const auto row = [](const char* label, double value, const char* unit, bool has_interval,
                      const v1::BootstrapEstimate& interval) {
    return Row(label,
               absl::StrFormat("%.3f%s%s", value, unit,
                               has_interval ? IntervalInWords(interval.ci_low(), interval.ci_high()) : ""));
  };
  return absl::StrCat(
      Row("peak layer", absl::StrCat(profile.peak_layer(), " of 0 to ", profile.n_layers() - 1)),
      row("peak depth", profile.peak_depth(), "", bootstrap.has_peak_depth(), bootstrap.peak_depth()),
      row("centroid (relative)", profile.centroid_rel(), "", bootstrap.has_centroid_rel(),
          bootstrap.centroid_rel()),
      row("bandwidth (interpolated)", profile.bandwidth_interpolated(), " of the depth",
          bootstrap.has_bandwidth_interpolated(), bootstrap.bandwidth_interpolated()));
}

std::vector<Figure> ProfileFigures(const ShownResult& of) {
  std::vector<Figure> figures;
  if (ScoresOf(*of.model) != nullptr) figures.push_back(HeatmapFigure(*of.model));
  figures.push_back(ProfileCurveFigure(*of.model));
  return figures;
}

// Runs of nulls and comparisons hold the profile that a run of `profile` may have told already.
std::vector<std::string> ProfileIdentity(const ShownResult& of) {
  const v1::Profile& profile = *of.model->Get<v1::Profile>();
  return {of.model->label,
          of.model->use.checkpoint_sha256(),
          of.model->use.dtype(),
          profile.score(),
          profile.antecedents(),
          profile.aggregation(),
          PromptsKey(of.run),
          absl::StrCat(profile.min_lag(), " ", profile.n_prompts(), " ", profile.n_copy_ops(), " ",
                       profile.high_score_quantile())};
}

}  // namespace

AnalysisKind ProfileKind() {
  return {.field = v1::JobSpec::kProfileFieldNumber,
          .commands = {{.name = "profile",
                        .help = "Find a model's induction heads: scores, curve over layers, figures"}},
          .topics = {"scores", "curves", "intervals"},
          .previews_prompts = true,
          .result = {.name = ProfileFile,
                     .prototype = &v1::Profile::default_instance(),
                     .check = CheckProfile,
                     .arrays = ProfileArrays},
          .summary = [](const ShownResult& of) { return ProfileSummary(*of.model); },
          .has_intervals = [](const Message& result) { return As<v1::Profile>(result).has_bootstrap(); },
          .figures = ProfileFigures,
          .title = "Profile",
          .question = "Where are the induction heads?",
          .definitions = {kCurveDefinition, kIntervalsDefinition},
          .findings = ProfileFindings,
          .identity = ProfileIdentity};
}

const FloatArray* ScoresOf(const SavedModel& model) {
  return model.results.Array(ScoresFile(model.use.name()));
}

std::string ProfileSummary(const SavedModel& model) {
  const auto* profile = model.Get<v1::Profile>();
  if (profile == nullptr) return "";
  std::string text = absl::StrCat(Printable(model.label), ": ", profile->score(), " profile of ",
                                  Counted(profile->n_layers(), "layer"), " x ",
                                  Counted(profile->n_heads(), "head"), "; ", MeasuredOn(*profile), "\n");
  for (int i = 0; i < std::min(profile->top_heads_size(), kHeadsShown); ++i)
    text += Row(i == 0 ? "best heads" : "", TopHeadText(profile->top_heads(i)));
  return text + CurveRows(*profile);
}

}  // namespace induct::client
