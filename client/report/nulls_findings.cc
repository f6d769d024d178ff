#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/kinds/nulls.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/text.h"
#include "client/verdicts.h"

namespace induct::client {
namespace {

using DoubleField = google::protobuf::RepeatedField<double>;

uint64_t CountSignificantHeads(const DoubleField& p) {
  return static_cast<uint64_t>(
      std::count_if(p.begin(), p.end(), [](double each) { return each <= kSignificant; }));
}

std::string StrongestHeadText(const v1::AntecedentNull& null) {
  const int best = StrongestHead(null);
  const int n_heads = static_cast<int>(null.effect().n_heads());
  const std::string interval = null.has_effect_ci_low() ? IntervalText(null.effect_ci_low().values(best),
                                                                       null.effect_ci_high().values(best))
                                                        : "";
  const std::string p =
      null.has_p_adjusted() ? absl::StrCat(", ", PText(null.p_adjusted().values(best))) : "";
  return absl::StrCat(HeadName(static_cast<uint32_t>(best / n_heads), static_cast<uint32_t>(best % n_heads)),
                      ": ", Value(null.observed().values(best)), " against ",
                      Value(null.null_mean().values(best)), ", an effect of ",
                      Signed(null.effect().values(best)), interval, p);
}

// Of the significant heads: a small p does not make an effect large.
std::string EffectRange(const v1::AntecedentNull& null) {
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (int i = 0; i < null.p_adjusted().values_size(); ++i) {
    if (null.p_adjusted().values(i) > kSignificant) continue;
    least = std::min(least, null.effect().values(i));
    most = std::max(most, null.effect().values(i));
  }
  return least < most ? absl::StrFormat(", by %.2g to %.2g", least, most) : "";
}

// How much higher heads score than with shuffled antecedents.
std::string ShuffledSentence(const std::string& label, const std::string& name,
                             const v1::AntecedentNull& null) {
  if (null.n_copy_ops() == 0)
    return absl::StrCat("The ", name, " shuffled antecedents have no values: ", null.reason(), ".");
  if (!null.has_p_adjusted()) {
    return absl::StrCat(
        "Against ", name, " shuffled antecedents the strongest is ", StrongestHeadText(null),
        ". There is no p-value: the test resamples prompts, and fewer than five have operations.");
  }
  const uint64_t n_heads = static_cast<uint64_t>(null.p_adjusted().values_size());
  const uint64_t significant = CountSignificantHeads(null.p_adjusted().values());
  if (significant == 0) {
    return absl::StrCat("Nothing was found against ", name, " shuffled antecedents: no head of ", label,
                        " was shown to score higher than with them (p <= 0.05, adjusted over all heads). "
                        "The strongest is ",
                        StrongestHeadText(null), ".");
  }
  return absl::StrCat(Grouped(significant), " of ", Counted(n_heads, "head"), " of ", label,
                      significant == 1 ? " was" : " were", " shown to score higher than with ", name,
                      " shuffled antecedents (p <= 0.05, adjusted over all heads)", EffectRange(null),
                      ". The strongest is ", StrongestHeadText(null), ".");
}

// Whether it is more than attention to a fixed distance. There is an interval and no p.
std::string SameDistanceSentence(const v1::AntecedentNull& null) {
  if (null.n_copy_ops() == 0) {
    return absl::StrCat("What attention to a fixed distance would give was not computed: ", null.reason(),
                        ".");
  }
  return absl::StrCat(
      "Against attention to the same distance in queries of other lags, which a head that attends to a fixed "
      "distance gives as much, the strongest is ",
      StrongestHeadText(null), null.has_effect_ci_low() ? "; " : "", HighestOfAll(null), ".");
}

std::vector<std::string> SignificantLayers(const v1::HeadPermutation& heads) {
  std::vector<std::string> layers;
  for (int layer = 0; layer < heads.p_adjusted_size(); ++layer) {
    if (heads.p_adjusted(layer) > kSignificant) continue;
    layers.push_back(absl::StrCat("layer ", layer, " (share ", Value(heads.observed_density(layer)), ", ",
                                  PText(heads.p_adjusted(layer)), ")"));
  }
  return layers;
}

std::string SpreadSentence(const v1::DepthSpread& spread) {
  return absl::StrCat("Their spread of relative depth is ", Value(spread.observed()), ", when permuted ",
                      Value(spread.null_mean()), " on average (", PText(spread.p()), "): ",
                      spread.p() <= kSignificant
                          ? "they lie closer together than if scores were dealt to places at random; heads "
                            "that resemble their neighbours for any reason do, too."
                          : "they are not shown to lie closer together than if scores were dealt to places "
                            "at random.");
}

std::string PermutationSentence(const v1::Nulls& nulls) {
  const v1::HeadPermutation& heads = nulls.head_permutation();
  const std::vector<std::string> layers = SignificantLayers(heads);
  std::string text =
      absl::StrFormat("High heads are those whose %s score lies above the %g quantile of all, %.3g. ",
                      nulls.score(), nulls.high_score_quantile(), heads.threshold());
  if (heads.p_adjusted().empty()) {
    absl::StrAppend(&text, "No layer has a p-value: ", heads.reason(), ".");
  } else if (layers.empty()) {
    text +=
        "Nothing was found in where they are: no layer was shown to hold more of them than if scores were "
        "dealt to places at random (p <= 0.05, adjusted over layers).";
  } else {
    absl::StrAppend(&text, "They are denser than if scores were dealt to places at random in ",
                    Enumeration(layers),
                    "; heads of a layer that resemble each other for any reason are, too.");
  }
  return absl::StrCat(text, " ",
                      heads.has_depth_spread() ? SpreadSentence(heads.depth_spread())
                                               : "With fewer than two of them there is no spread of depth.");
}

void AddNullsLimits(const SavedModel& model, Findings* findings) {
  const v1::Nulls& nulls = *model.Get<v1::Nulls>();
  const v1::HeadPermutation& heads = nulls.head_permutation();
  const auto* profile = model.Get<v1::Profile>();
  if (profile != nullptr && profile->has_peak_layer() && nulls.has_head_permutation()) {
    const int peak = static_cast<int>(profile->peak_layer());
    if (peak < heads.band_high_size() && heads.observed_density(peak) <= heads.band_high(peak)) {
      findings->limits.push_back(absl::StrCat(
          model.label, ": the peak lies in layer ", peak,
          ", whose share of high heads does not lie above the pointwise 95 % of permuted scores: that high "
          "heads gather there is not shown."));
    }
  }
  const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
  for (const auto& [name, null] :
       {std::pair("uniform", &shuffled.uniform()), std::pair("lag-matched", &shuffled.lag_matched()),
        std::pair("same-distance", &shuffled.same_distance())}) {
    if (null->n_copy_ops() == 0 || null->n_dropped() == 0) continue;
    findings->limits.push_back(absl::StrCat(model.label, ": ", Counted(null->n_dropped(), "operation"),
                                            " of ", Grouped(uint64_t{null->n_copy_ops()} + null->n_dropped()),
                                            " had no ", name, " candidate and count on neither side; ",
                                            Counted(null->n_prompts(), "prompt"), " take part."));
  }
}

}  // namespace

Findings NullsFindings(const ShownResult& of, const std::vector<SavedRun>&) {
  const SavedModel& model = *of.model;
  const v1::Nulls& nulls = *model.Get<v1::Nulls>();
  Findings findings;
  if (nulls.has_shuffled_antecedent()) {
    const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
    findings.blocks.push_back(
        Paragraph{ShuffledSentence(model.label, "lag-matched", shuffled.lag_matched())});
    findings.blocks.push_back(Paragraph{ShuffledSentence(model.label, "uniform", shuffled.uniform())});
    if (shuffled.has_same_distance())
      findings.blocks.push_back(Paragraph{SameDistanceSentence(shuffled.same_distance())});
    if (const v1::AntecedentNull* null = ShownNull(nulls))
      findings.blocks.push_back(EffectsChart(model, *null));
  } else {
    findings.blocks.push_back(Paragraph{
        nulls.score() == "previous"
            ? "The score previous has no antecedent to shuffle: there is the head permutation alone."
            : "Shuffled antecedents were not asked for."});
  }
  if (nulls.has_head_permutation()) {
    findings.blocks.push_back(Paragraph{PermutationSentence(nulls)});
    findings.blocks.push_back(DensityChart(model));
  } else {
    findings.blocks.push_back(Paragraph{"The head permutation was not asked for."});
  }
  AddNullsLimits(model, &findings);
  return findings;
}

}  // namespace induct::client
