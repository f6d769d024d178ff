#include "client/summary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr int kHeadsShown = 5;

// A line of the table: what, and its value.
std::string Row(const std::string& label, const std::string& value) {
  return absl::StrFormat("%-26s%s\n", label, value);
}

std::string Interval(const v1::BootstrapEstimate& estimate) {
  return absl::StrFormat(" (95 %% interval %.3f to %.3f)", estimate.ci_low(), estimate.ci_high());
}

std::string HeadText(const v1::TopHead& head) {
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
    return Row(label, absl::StrFormat("%.3f%s%s", value, unit, has_interval ? Interval(interval) : ""));
  };
  return absl::StrCat(
      Row("peak layer", absl::StrCat(profile.peak_layer(), " of 0 to ", profile.n_layers() - 1)),
      row("peak depth", profile.peak_depth(), "", bootstrap.has_peak_depth(), bootstrap.peak_depth()),
      row("centroid (relative)", profile.centroid_rel(), "", bootstrap.has_centroid_rel(),
          bootstrap.centroid_rel()),
      row("bandwidth (interpolated)", profile.bandwidth_interpolated(), " of the depth",
          bootstrap.has_bandwidth_interpolated(), bootstrap.bandwidth_interpolated()));
}

}  // namespace

std::string SummaryText(const std::string& model, const v1::JobFinished& finished, const std::string& saved) {
  const v1::Profile& profile = finished.profile();
  std::string text = absl::StrCat(Printable(model), ": ", profile.score(), " profile of ",
                                  Counted(profile.n_layers(), "layer"), " x ",
                                  Counted(profile.n_heads(), "head"), "; ", MeasuredOn(profile), "\n");
  for (int i = 0; i < std::min(profile.top_heads_size(), kHeadsShown); ++i)
    text += Row(i == 0 ? "best heads" : "", HeadText(profile.top_heads(i)));
  text += CurveRows(profile);
  for (const std::string& warning : finished.warnings()) text += Row("warning", Printable(warning));
  return text + Row("saved in", saved);
}

}  // namespace induct::client
