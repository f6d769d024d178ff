#include "client/figures/cross_size_overlay.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/depth_overlay.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr size_t kOverlayLabelCharacters = 36;

std::string ModelKeyLabel(const SavedModel& model) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  const std::string name = Shortened(model.label, kOverlayLabelCharacters);
  if (!profile.has_peak_depth()) return absl::StrCat(name, ": 0 everywhere");
  const std::string peak = absl::StrFormat("%s: peak %.3f", name, profile.peak_depth());
  if (!profile.bootstrap().has_peak_depth()) return peak;
  const v1::BootstrapEstimate& depth = profile.bootstrap().peak_depth();
  return absl::StrCat(peak, IntervalText(depth.ci_low(), depth.ci_high()));
}

DepthCurve Curve(const SavedModel& model) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  DepthCurve curve{.name = model.use.name(),
                   .label = ModelKeyLabel(model),
                   .values = {profile.per_layer().begin(), profile.per_layer().end()},
                   .band = profile.bootstrap().per_layer()};
  if (profile.has_peak_layer() && profile.peak_layer() < curve.values.size())
    curve.peak = static_cast<int>(profile.peak_layer());
  return curve;
}

}  // namespace

std::optional<Figure> CrossSizeOverlayFigure(const SavedRun& run) {
  std::vector<DepthCurve> curves;
  const v1::Profile* first = nullptr;
  bool bands = false;
  for (const SavedModel& model : run.models) {
    if (model.Get<v1::Profile>() == nullptr) continue;
    if (first == nullptr) first = model.Get<v1::Profile>();
    bands = bands || model.Get<v1::Profile>()->has_bootstrap();
    curves.push_back(Curve(model));
  }
  if (curves.size() < 2) return std::nullopt;
  Figure figure =
      DepthOverlayFigure("cross_size_overlay", curves, absl::StrCat(first->score(), " score of kept heads"));
  figure.title = {absl::StrCat(first->score(), " profiles of ", Counted(curves.size(), "model")),
                  absl::StrCat("large points: peaks",
                               bands ? "; bands: pointwise 95 % intervals (bootstrap over prompts)" : ""),
                  absl::StrCat(Counted(first->n_prompts(), "prompt"),
                               first->score() == "previous" ? "" : absl::StrCat(", ", Operations(*first)))};
  return figure;
}

}  // namespace induct::client
