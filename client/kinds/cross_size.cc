#include "client/kinds/cross_size.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/cross_size_overlay.h"
#include "client/figures/peak_depths.h"
#include "client/summary_rows.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verdicts.h"
#include "common/file_names.h"
#include "induct/v1/cross_size.pb.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {
namespace {

// A row a model: what a comparison of many sizes is read from.
std::string PeakTable(const SavedRun& run) {
  std::vector<std::vector<std::string>> rows;
  for (const SavedModel& model : run.models) {
    if (model.Get<v1::Profile>() == nullptr) continue;
    const v1::Profile& profile = *model.Get<v1::Profile>();
    const auto number = [](bool has, double value) { return has ? absl::StrFormat("%.3f", value) : "-"; };
    const bool interval = profile.bootstrap().has_centroid_rel();
    rows.push_back({Printable(model.label), absl::StrFormat("%.0f", model.use.n_parameters()),
                    absl::StrCat(profile.n_layers(), " x ", profile.n_heads()),
                    profile.has_peak_layer() ? absl::StrCat(profile.peak_layer()) : "-",
                    number(profile.has_peak_depth(), profile.peak_depth()),
                    number(profile.has_centroid_rel(), profile.centroid_rel()),
                    interval ? absl::StrFormat("%.3f to %.3f", profile.bootstrap().centroid_rel().ci_low(),
                                               profile.bootstrap().centroid_rel().ci_high())
                             : "-",
                    number(profile.has_bandwidth_interpolated(), profile.bandwidth_interpolated())});
  }
  return FormatTable({"MODEL", "PARAMETERS", "LAYERS X HEADS", "PEAK LAYER", "PEAK DEPTH", "CENTROID",
                      "95 % INTERVAL", "BANDWIDTH"},
                     rows);
}

// By its name in file names; nullptr where the run lacks it.
const SavedModel* FindModel(const SavedRun& run, const std::string& name) {
  for (const SavedModel& model : run.models) {
    if (model.use.name() == name) return &model;
  }
  return nullptr;
}

// What the table above calls the model.
std::string SummaryLabelOf(const SavedRun& run, const std::string& name) {
  const SavedModel* model = FindModel(run, name);
  return model == nullptr ? Printable(name) : Printable(model->label);
}

// The margin of equivalence: "one layer of demo-small (0.250)".
std::string LayerText(const SavedRun& run, const v1::ModelPair& pair) {
  const SavedModel* a = FindModel(run, pair.model_a());
  const SavedModel* b = FindModel(run, pair.model_b());
  if (a == nullptr || b == nullptr) return "one layer";
  const SavedModel& smaller = b->use.n_layers() < a->use.n_layers() ? *b : *a;
  const bool same = a->use.n_layers() == b->use.n_layers();
  return absl::StrFormat("one layer of %s (%.3f)", same ? "either" : Printable(smaller.label),
                         1.0 / smaller.use.n_layers());
}

std::string DifferenceRow(const char* label, const v1::PairedDifference& difference,
                          const std::string& layer) {
  const std::string verdict = DifferenceVerdict(difference, layer);
  return Row(label, absl::StrCat(absl::StrFormat("%+.3f%s", difference.difference(),
                                                 OptionalIntervalInWords(difference)),
                                 verdict.empty() ? "" : ": ", verdict));
}

std::string PairText(const SavedRun& run, const v1::ModelPair& pair) {
  const std::string models =
      absl::StrCat(SummaryLabelOf(run, pair.model_b()), " - ", SummaryLabelOf(run, pair.model_a()), ":");
  if (!pair.has_centroid_rel()) return absl::StrCat(models, " a profile is 0 everywhere\n");
  const std::string layer = LayerText(run, pair);
  return absl::StrCat(
      models, "\n", DifferenceRow("peak depth", pair.peak_depth(), layer),
      DifferenceRow("centroid (relative)", pair.centroid_rel(), layer),
      DifferenceRow("bandwidth (interpolated)", pair.bandwidth_interpolated(), layer),
      pair.has_overlap() ? Row("overlap of curves", absl::StrFormat("%.3f", pair.overlap())) : "");
}

std::string CrossSizeSummary(const ShownResult& of) {
  std::string text = PeakTable(of.run);
  for (const v1::ModelPair& pair : of.run.Get<v1::CrossSize>()->pairs()) text += PairText(of.run, pair);
  return text;
}

std::vector<Figure> CrossSizeFigures(const ShownResult& of) {
  std::vector<Figure> figures;
  if (std::optional<Figure> overlay = CrossSizeOverlayFigure(of.run)) figures.push_back(*std::move(overlay));
  if (std::optional<Figure> peaks = PeakDepthsFigure(of.run)) figures.push_back(*std::move(peaks));
  return figures;
}

}  // namespace

AnalysisKind CrossSizeKind() {
  return {.field = v1::JobSpec::kCrossSizeFieldNumber,
          .commands = {{.name = "crosssize",
                        .help = "Compare models on relative depth: the same texts through each of them",
                        .plan_models = 2},
                       {.name = "multisize",
                        .help = "The same of many models: peaks by number of parameters",
                        .plan_models = 3}},
          .topics = {"scores", "curves", "intervals"},
          .compares_models = true,
          .has_profiles = true,
          .result = {.name = [](std::string_view) { return std::string(kCrossSizeFile); },
                     .prototype = &v1::CrossSize::default_instance()},
          .summary = CrossSizeSummary,
          .figures = CrossSizeFigures,
          .title = "Comparison",
          .question = "Do they lie at the same relative depth in models of different size?",
          .definitions =
              {kCurveDefinition, kIntervalsDefinition,
               "Models are compared on the same prompts, with a bootstrap that draws the same prompts for "
               "both. Equivalent means that the 90 % interval of the difference lies strictly within one "
               "layer of the model with fewer layers."},
          .suggestion =
              "induct-client crosssize --models NAME NAME: is the relative depth the same in another size?",
          .findings = CrossSizeFindings};
}

}  // namespace induct::client
