#include "client/summary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr int kHeadsShown = 5;

std::string Interval(const v1::BootstrapEstimate& estimate) {
  return absl::StrFormat(" (95 %% interval %.3f to %.3f)", estimate.ci_low(), estimate.ci_high());
}

std::string HeadText(const v1::TopHead& head) {
  std::string text = absl::StrFormat("layer %d head %d: %.3f", head.layer(), head.head(), head.score());
  if (head.has_ci_low() && head.has_ci_high())
    absl::StrAppendFormat(&text, " [%.3f, %.3f]", head.ci_low(), head.ci_high());
  return text;
}

}  // namespace

std::string SummaryText(const std::string& model, const v1::JobFinished& finished) {
  const v1::Profile& profile = finished.profile();
  std::string text = absl::StrCat(Printable(model), ": ", profile.score(), " profile of ", profile.n_layers(),
                                  " layers x ", profile.n_heads(), " heads; ", MeasuredOn(profile), "\n");
  for (int i = 0; i < std::min(profile.top_heads_size(), kHeadsShown); ++i) {
    absl::StrAppend(&text, i == 0 ? "best heads  " : "            ", HeadText(profile.top_heads(i)), "\n");
  }
  const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
  if (profile.has_peak_layer()) {
    absl::StrAppendFormat(&text, "peak        layer %d of 0 to %d, relative depth %.3f%s\n",
                          profile.peak_layer(), static_cast<int>(profile.n_layers()) - 1,
                          profile.peak_depth(),
                          bootstrap.has_peak_depth() ? Interval(bootstrap.peak_depth()) : "");
    absl::StrAppendFormat(&text, "centroid    relative depth %.3f%s\n", profile.centroid_rel(),
                          bootstrap.has_centroid_rel() ? Interval(bootstrap.centroid_rel()) : "");
    absl::StrAppendFormat(
        &text, "bandwidth   %.3f of the depth%s\n", profile.bandwidth_interpolated(),
        bootstrap.has_bandwidth_interpolated() ? Interval(bootstrap.bandwidth_interpolated()) : "");
  } else {
    absl::StrAppend(&text, "no head scores above 0: there is no peak\n");
  }
  for (const std::string& warning : finished.warnings())
    absl::StrAppend(&text, "warning     ", Printable(warning), "\n");
  return text;
}

}  // namespace induct::client
