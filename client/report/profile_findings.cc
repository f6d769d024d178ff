#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/kinds/profile.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/report/run_settings.h"
#include "client/text.h"
#include "induct/v1/nulls.pb.h"

namespace induct::client {
namespace {

constexpr double kSureOfPeak = 0.95;  // share of resamples below which the peak's layer is told to be unsure

std::string PeakSentence(const std::string& label, const v1::Profile& profile) {
  const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
  std::string text =
      absl::StrCat("The ", profile.score(), " profile of ", label, " peaks in layer ", profile.peak_layer(),
                   " (of 0 to ", profile.n_layers() - 1, "), at relative depth ", Value(profile.peak_depth()),
                   OptionalInterval(bootstrap.has_peak_depth(), bootstrap.peak_depth()));
  const int peak = static_cast<int>(profile.peak_layer());
  if (peak < bootstrap.peak_layer_frequency_size()) {
    absl::StrAppend(&text, absl::StrFormat("; that layer was the peak in %.3g %% of %s",
                                           100 * bootstrap.peak_layer_frequency(peak),
                                           Counted(bootstrap.resamples(), "resample")));
  }
  return absl::StrCat(text, ".");
}

std::string WidthSentence(const v1::Profile& profile) {
  const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
  return absl::StrCat(
      "Its centroid lies at relative depth ", Value(profile.centroid_rel()),
      OptionalInterval(bootstrap.has_centroid_rel(), bootstrap.centroid_rel()),
      "; the middle 68 % of its mass spans ", Value(profile.bandwidth_interpolated()),
      OptionalInterval(bootstrap.has_bandwidth_interpolated(), bootstrap.bandwidth_interpolated()),
      " of the depth.");
}

Table TopHeads(const v1::Profile& profile) {
  Table table{.header = {"layer", "head", absl::StrCat(profile.score(), " score"), "95 % interval"}};
  for (const v1::TopHead& head : profile.top_heads()) {
    table.rows.push_back(
        {absl::StrCat(head.layer()), absl::StrCat(head.head()), Value(head.score()),
         head.has_ci_low() ? absl::StrFormat("%.3f to %.3f", head.ci_low(), head.ci_high()) : "-"});
  }
  return table;
}

void AddProfileLimits(const std::string& label, const v1::Profile& profile, Findings* findings) {
  if (!profile.has_bootstrap()) {
    findings->limits.push_back(
        profile.n_prompts() < 2
            ? absl::StrCat(label,
                           ": there is one prompt only, so no number has an interval; intervals come from "
                           "resampling prompts.")
            : absl::StrCat(label, ": no resamples were asked for, so no number has an interval."));
    return;
  }
  const int peak = static_cast<int>(profile.peak_layer());
  if (!profile.has_peak_layer() || peak >= profile.bootstrap().peak_layer_frequency_size()) return;
  const double frequency = profile.bootstrap().peak_layer_frequency(peak);
  if (frequency >= kSureOfPeak) return;
  findings->limits.push_back(absl::StrFormat(
      "%s: which layer is the peak is not certain: layer %d was it in %.0f %% of the resamples.", label, peak,
      100 * frequency));
}

// Whether the nulls are of the profile's model, prompts and operations.
bool BelongTo(const SavedModel& model, const SavedRun& run, const SavedModel& other,
              const SavedRun& other_run) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  const v1::Nulls& nulls = *other.Get<v1::Nulls>();
  const v1::AntecedentNull& uniform = nulls.shuffled_antecedent().uniform();
  return other.use.checkpoint_sha256() == model.use.checkpoint_sha256() &&
         other.use.dtype() == model.use.dtype() && nulls.score() == profile.score() &&
         nulls.antecedents() == profile.antecedents() && nulls.min_lag() == profile.min_lag() &&
         other.use.n_layers() == profile.n_layers() && other.use.n_heads() == profile.n_heads() &&
         uniform.n_copy_ops() + uniform.n_dropped() == profile.n_copy_ops() &&
         PromptsKey(run) == PromptsKey(other_run);
}

// The profile's nulls: of its own run, else of any run of the same prompts.
const v1::Nulls* NullsOf(const ShownResult& of, const std::vector<SavedRun>& runs) {
  if (const auto* own = of.model->Get<v1::Nulls>()) return own;
  for (const SavedRun& other_run : runs) {
    for (const SavedModel& other : other_run.models) {
      const auto* nulls = other.Get<v1::Nulls>();
      if (nulls != nullptr && BelongTo(*of.model, of.run, other, other_run)) return nulls;
    }
  }
  return nullptr;
}

}  // namespace

Findings ProfileFindings(const ShownResult& of, const std::vector<SavedRun>& runs) {
  const SavedModel& model = *of.model;
  const v1::Profile& profile = *model.Get<v1::Profile>();
  Findings findings;
  if (profile.has_peak_layer()) {
    findings.blocks.push_back(
        Paragraph{absl::StrCat(PeakSentence(model.label, profile), " ", WidthSentence(profile))});
  } else {
    findings.blocks.push_back(
        Paragraph{absl::StrCat("Nothing was found: no head of ", model.label, " has a ", profile.score(),
                               " score above 0, so the profile has no peak, no centroid and no width.")});
  }
  findings.blocks.push_back(Paragraph{absl::StrCat("Measured on ", MeasuredOn(profile), ".")});
  if (ScoresOf(model) != nullptr) findings.blocks.push_back(HeadsChart(model, NullsOf(of, runs)));
  findings.blocks.push_back(CurveChart(model));
  findings.blocks.push_back(TopHeads(profile));
  findings.limits.push_back(absl::StrCat(model.label,
                                         ": best and kept heads were chosen as the highest on these prompts, "
                                         "so that their level is too high: with "
                                         "20, 60 or 400 prompts by about 5, 1.4 or 0.2 % where few heads "
                                         "stand out, by 18, 10 or 4 % where all are "
                                         "alike."));
  AddProfileLimits(model.label, profile, &findings);
  return findings;
}

}  // namespace induct::client
