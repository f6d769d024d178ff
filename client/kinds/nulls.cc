#include "client/kinds/nulls.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/nulls_density.h"
#include "client/figures/nulls_heatmap.h"
#include "client/kinds/checks.h"
#include "client/kinds/profile.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "client/verdicts.h"
#include "common/file_names.h"
#include "common/status.h"
#include "induct/v1/nulls.pb.h"

namespace induct::client {
namespace {

using google::protobuf::Message;

absl::Status CheckAntecedentNull(const v1::AntecedentNull& null, ModelSize size) {
  if (null.n_copy_ops() == 0) return absl::OkStatus();
  if (!null.has_observed() || !null.has_null_mean() || !null.has_effect() || !null.has_layers())
    return absl::DataLossError("a null lacks its values");
  const v1::AntecedentNullLayers& layers = null.layers();
  return CheckLists(size, {&layers.observed(), &layers.null_mean(), &layers.effect()},
                    {&layers.effect_ci_low(), &layers.effect_ci_high(), &layers.p_adjusted()});
}

absl::Status CheckNulls(const Message& result, ModelSize size) {
  const auto& nulls = As<v1::Nulls>(result);
  const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
  INDUCT_RETURN_IF_ERROR(CheckAntecedentNull(shuffled.uniform(), size));
  INDUCT_RETURN_IF_ERROR(CheckAntecedentNull(shuffled.lag_matched(), size));
  INDUCT_RETURN_IF_ERROR(CheckAntecedentNull(shuffled.same_distance(), size));
  if (!nulls.has_head_permutation()) return absl::OkStatus();
  const v1::HeadPermutation& heads = nulls.head_permutation();
  return CheckLists(size,
                    {&heads.observed_density(), &heads.null_mean(), &heads.band_low(), &heads.band_high()},
                    {&heads.p_adjusted()});
}

int CountSignificant(const google::protobuf::RepeatedField<double>& p) {
  return static_cast<int>(
      std::count_if(p.begin(), p.end(), [](double value) { return value <= kSignificant; }));
}

// What the null leaves out; empty where that is nothing.
std::string DroppedText(const v1::AntecedentNull& null) {
  if (null.n_dropped() == 0) return "";
  return absl::StrCat("; ", Counted(null.n_dropped(), "operation"), " without a candidate dropped, ",
                      Counted(null.n_prompts(), "prompt"), " left");
}

std::string NullText(const v1::AntecedentNull& null) {
  if (!null.has_p_adjusted()) return "no p-values: that takes five prompts with operations";
  const int best = StrongestHead(null);
  const int n_heads = static_cast<int>(null.effect().n_heads());
  return absl::StrFormat(
      "%d of %d heads shown above it (p <= 0.05, adjusted); most: layer %d head %d by %.3f, p = %.3g",
      CountSignificant(null.p_adjusted().values()), null.effect().values_size(), best / n_heads,
      best % n_heads, null.effect().values(best), null.p_adjusted().values(best));
}

std::string NullRow(const char* label, const v1::AntecedentNull& null) {
  if (null.n_copy_ops() == 0) return Row(label, absl::StrCat("not computed: ", Printable(null.reason())));
  return Row(label, absl::StrCat(NullText(null), DroppedText(null)));
}

// The null of a fixed distance, which has intervals and no p.
std::string SameDistanceRow(const v1::AntecedentNull& null) {
  constexpr char kLabel[] = "shuffled: same_distance";
  if (null.n_copy_ops() == 0) return Row(kLabel, absl::StrCat("not computed: ", Printable(null.reason())));
  const int best = StrongestHead(null);
  const int n_heads = static_cast<int>(null.effect().n_heads());
  const std::string interval = null.has_effect_ci_low() ? IntervalInWords(null.effect_ci_low().values(best),
                                                                          null.effect_ci_high().values(best))
                                                        : "";
  const std::string highest = HighestOfAll(null);
  return Row(kLabel, absl::StrCat(absl::StrFormat("most: layer %d head %d by %.3f", best / n_heads,
                                                  best % n_heads, null.effect().values(best)),
                                  interval, highest.empty() ? "" : "; ", highest, DroppedText(null)));
}

std::string ShuffledRows(const v1::Nulls& nulls) {
  if (nulls.score() == "previous") return Row("shuffled", "previous has no antecedent to shuffle");
  if (!nulls.has_shuffled_antecedent()) return "";
  const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
  return absl::StrCat(NullRow("shuffled: uniform", shuffled.uniform()),
                      NullRow("shuffled: lag_matched", shuffled.lag_matched()),
                      shuffled.has_same_distance() ? SameDistanceRow(shuffled.same_distance()) : "");
}

std::string PermutationRows(const v1::HeadPermutation& heads) {
  std::string text =
      Row("head permutation",
          heads.p_adjusted().empty()
              ? absl::StrCat("no p-values: ", Printable(heads.reason()))
              : absl::StrFormat("%s shown to be denser than if scores were dealt to places at random (p <= "
                                "0.05, adjusted; one model, whose heads are not independent)",
                                Counted(CountSignificant(heads.p_adjusted()), "layer")));
  if (heads.has_depth_spread()) {
    text += Row("depth spread", absl::StrFormat("%.3f, %.3f on average when permuted, p = %.3g",
                                                heads.depth_spread().observed(),
                                                heads.depth_spread().null_mean(), heads.depth_spread().p()));
  }
  return text;
}

std::string NullsRows(const std::string& label, const v1::Nulls& nulls) {
  std::string rows = ShuffledRows(nulls);
  if (nulls.has_head_permutation()) rows += PermutationRows(nulls.head_permutation());
  if (rows.empty()) rows = Row("nulls", "none asked for: shuffle_null and head_permutation_null are false");
  return absl::StrCat(label, ": ", nulls.score(), " scores against their nulls\n", rows);
}

std::vector<Figure> NullsFigures(const ShownResult& of) {
  std::vector<Figure> figures;
  if (of.model->Get<v1::Nulls>()->has_head_permutation()) figures.push_back(NullsDensityFigure(*of.model));
  if (std::optional<Figure> heatmap = NullsHeatmapFigure(*of.model)) figures.push_back(*std::move(heatmap));
  return figures;
}

}  // namespace

AnalysisKind NullsKind() {
  return {.field = v1::JobSpec::kNullsFieldNumber,
          .commands = {{.name = "nulls",
                        .help = "Compare scores with nulls: shuffled antecedents, a fixed distance, permuted "
                                "heads"}},
          .topics = {"scores", "curves", "intervals", "nulls", "tests"},
          .has_profiles = true,
          .result = {.name = NullsFile, .prototype = &v1::Nulls::default_instance(), .check = CheckNulls},
          .summary =
              [](const ShownResult& of) {
                return absl::StrCat(ProfileSummary(*of.model),
                                    NullsRows(Printable(of.model->label), *of.model->Get<v1::Nulls>()));
              },
          .figures = NullsFigures,
          .title = "Nulls",
          .question =
              "Is a score more than attention to other positions gives, and do high heads stand closer "
              "together than if scores were dealt to places at random?",
          .definitions =
              {kCurveDefinition, kIntervalsDefinition,
               "Shuffled antecedents: what would be read if the antecedent were another position, all "
               "alike (uniform) or weighted by how often their lag occurs (lag-matched, which does not "
               "match attention to one fixed distance); the same distance: what queries of other lags "
               "give as far back. p-values test whether a mean effect is above 0, by resampling prompts "
               "(bootstrap-t), adjusted by the maximum over heads. The head permutation deals the "
               "scores to places at random; it speaks of one model, whose heads are not independent."},
          .suggestion =
              "induct-client nulls --model NAME: is a score more than attention to a fixed distance "
              "gives?",
          .findings = NullsFindings};
}

}  // namespace induct::client
