#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/peak_depths.h"
#include "client/kinds/cross_size.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/text.h"
#include "client/verdicts.h"

namespace induct::client {
namespace {

std::string Millions(double n_parameters) {
  return n_parameters >= 1e9 ? absl::StrFormat("%.2f B", n_parameters / 1e9)
                             : absl::StrFormat("%.2f M", n_parameters / 1e6);
}

Table Peaks(const SavedRun& run) {
  Table table{.header = {"model", "parameters", "layers x heads", "peak layer", "peak depth", "centroid",
                         "95 % interval", "bandwidth"}};
  for (const SavedModel& model : run.models) {
    if (model.Get<v1::Profile>() == nullptr) continue;
    const v1::Profile& profile = *model.Get<v1::Profile>();
    const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
    table.rows.push_back(
        {model.label, Millions(model.use.n_parameters()),
         absl::StrCat(profile.n_layers(), " x ", profile.n_heads()),
         profile.has_peak_layer() ? absl::StrCat(profile.peak_layer()) : "-",
         profile.has_peak_depth() ? Value(profile.peak_depth()) : "-",
         profile.has_centroid_rel() ? Value(profile.centroid_rel()) : "-",
         bootstrap.has_centroid_rel() ? absl::StrCat(Value(bootstrap.centroid_rel().ci_low()), " to ",
                                                     Value(bootstrap.centroid_rel().ci_high()))
                                      : "-",
         profile.has_bandwidth_interpolated() ? Value(profile.bandwidth_interpolated()) : "-"});
  }
  return table;
}

std::string Cell(bool there, const v1::PairedDifference& difference) {
  if (!there) return "-";
  const std::string verdict = DifferenceVerdict(difference, "one layer");
  return absl::StrCat(Signed(difference.difference()), OptionalInterval(difference),
                      verdict.empty() ? "" : ": ", verdict);
}

// Labels by names in file names.
using Labels = std::map<std::string, std::string>;

std::string LabelOf(const Labels& labels, const std::string& name) {
  const auto it = labels.find(name);
  return it == labels.end() ? name : it->second;
}

Table Pairs(const v1::CrossSize& cross_size, const Labels& labels) {
  Table table{.header = {"second - first", "peak depth", "centroid", "bandwidth", "Pearson r", "overlap"}};
  for (const v1::ModelPair& pair : cross_size.pairs()) {
    table.rows.push_back(
        {absl::StrCat(LabelOf(labels, pair.model_b()), " - ", LabelOf(labels, pair.model_a())),
         Cell(pair.has_peak_depth(), pair.peak_depth()), Cell(pair.has_centroid_rel(), pair.centroid_rel()),
         Cell(pair.has_bandwidth_interpolated(), pair.bandwidth_interpolated()),
         pair.has_pearson_r() ? Value(pair.pearson_r()) : "-",
         pair.has_overlap() ? Value(pair.overlap()) : "-"});
  }
  return table;
}

// What a pair's centroids say.
std::string PairSentence(const v1::ModelPair& pair, const Labels& labels) {
  const std::string a = LabelOf(labels, pair.model_a()), b = LabelOf(labels, pair.model_b());
  if (!pair.has_centroid_rel())
    return absl::StrCat(a, " and ", b, " can't be compared: a profile is 0 everywhere.");
  const v1::PairedDifference& centroid = pair.centroid_rel();
  const char* lies = centroid.difference() == 0  ? "where that of "
                     : centroid.difference() < 0 ? "before that of "
                                                 : "behind that of ";
  std::string text =
      absl::StrCat("The centroid of ", b, " lies ", lies, a, centroid.difference() == 0 ? " does (" : " (",
                   Signed(centroid.difference()), OptionalInterval(centroid), " of the depth)");
  if (!centroid.has_equivalent()) return absl::StrCat(text, ".");
  const bool holds_zero = centroid.ci_low() <= 0 && centroid.ci_high() >= 0;
  absl::StrAppend(
      &text, holds_zero ? "; the interval holds 0, so no difference is shown" : "; a difference is shown");
  absl::StrAppend(
      &text, centroid.equivalent() == holds_zero ? ", and " : ", but ",
      centroid.equivalent()
          ? "it is smaller than one layer of the model with fewer layers (90 % interval): the centroids are "
            "equivalent"
          : "that it is smaller than one layer of the model with fewer layers is not shown");
  return absl::StrCat(text, centroid.equivalent() ? "; the peaks may differ: they lie " : ". The peaks lie ",
                      Signed(pair.peak_depth().difference()), OptionalInterval(pair.peak_depth()),
                      " of the depth apart.");
}

bool Overlaps(const v1::BootstrapEstimate& a, const v1::BootstrapEstimate& b) {
  return a.ci_low() <= b.ci_high() && b.ci_low() <= a.ci_high();
}

// Models whose centroids' intervals have a part in common.
void AddOverlaps(const SavedRun& run, Findings* findings) {
  for (size_t i = 0; i < run.models.size(); ++i) {
    for (size_t j = i + 1; j < run.models.size(); ++j) {
      const SavedModel &a = run.models[i], &b = run.models[j];
      if (a.Get<v1::Profile>() == nullptr || b.Get<v1::Profile>() == nullptr ||
          !a.Get<v1::Profile>()->bootstrap().has_centroid_rel() ||
          !b.Get<v1::Profile>()->bootstrap().has_centroid_rel() ||
          !Overlaps(a.Get<v1::Profile>()->bootstrap().centroid_rel(),
                    b.Get<v1::Profile>()->bootstrap().centroid_rel()))
        continue;
      findings->limits.push_back(absl::StrCat("The intervals of the centroids of ", a.label, " and ", b.label,
                                              " overlap; the paired difference is the sharper comparison."));
    }
  }
}

}  // namespace

Findings CrossSizeFindings(const ShownResult& of, const std::vector<SavedRun>&) {
  const SavedRun& run = of.run;
  const v1::CrossSize& cross_size = *run.Get<v1::CrossSize>();
  Labels labels;
  for (const SavedModel& model : run.models) labels[model.use.name()] = model.label;
  Findings findings;
  for (const v1::ModelPair& pair : cross_size.pairs())
    findings.blocks.push_back(Paragraph{PairSentence(pair, labels)});
  findings.blocks.push_back(OverlayChart(run));
  if (HasPeakDepths(run)) findings.blocks.push_back(SizesChart(run));
  findings.blocks.push_back(Peaks(run));
  findings.blocks.push_back(Pairs(cross_size, labels));
  AddOverlaps(run, &findings);
  findings.limits.push_back(
      "There is one training run of each size: intervals speak of prompts, and nothing here tells how two "
      "trainings "
      "of one size would differ.");
  if (cross_size.pairs_size() > 1) {
    findings.limits.push_back(
        absl::StrCat("The ", Counted(static_cast<uint64_t>(cross_size.pairs_size()), "pair"),
                     " are not adjusted for their number: of 20 equal pairs, one interval "
                     "may miss 0 by chance."));
  }
  return findings;
}

}  // namespace induct::client
