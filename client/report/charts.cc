#include "client/report/charts.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ablation_metrics.h"
#include "client/figures/captions.h"
#include "client/figures/pattern_map.h"
#include "client/kinds/pattern.h"
#include "client/kinds/profile.h"
#include "client/report/phrases.h"
#include "client/text.h"

namespace induct::client {
namespace {

using nlohmann::json;

// 6 significant digits are what anyone reads, and half the bytes.
double Rounded(double value) {
  double rounded = value;
  return absl::SimpleAtod(absl::StrFormat("%.6g", value), &rounded) ? rounded : value;
}

template <typename Values>
json Numbers(const Values& values) {
  json numbers = json::array();
  for (const auto value : values) numbers.push_back(Rounded(static_cast<double>(value)));
  return numbers;
}

void PutMatrix(const char* name, const v1::HeadMatrix& matrix, json* data) {
  if (!matrix.values().empty()) (*data)[name] = Numbers(matrix.values());
}

void PutBand(const v1::LayerBand& band, json* data) {
  if (band.ci_low().empty()) return;
  (*data)["ci_low"] = Numbers(band.ci_low());
  (*data)["ci_high"] = Numbers(band.ci_high());
}

// Peak and centroid of a profile or a bucket's, where there are any.
void PutPeak(bool has_peak, uint32_t peak_layer, bool has_centroid, double centroid, json* data) {
  if (has_peak) (*data)["peak_layer"] = peak_layer;
  if (has_centroid) (*data)["centroid_rel"] = Rounded(centroid);
}

json OverlayCurve(const LayerCurve& of) {
  json curve = {{"label", of.label}, {"values", Numbers(of.values)}};
  PutBand(of.band, &curve);
  return curve;
}

json Estimate(const v1::IntervalEstimate& estimate) {
  json value = {{"value", Rounded(estimate.value())}};
  if (estimate.has_ci_low()) value["ci_low"] = Rounded(estimate.ci_low());
  if (estimate.has_ci_high()) value["ci_high"] = Rounded(estimate.ci_high());
  return value;
}

json Control(const char* name, const v1::ControlArm& arm, const AblationMetric& metric) {
  json draws = json::array();
  for (const v1::AblationArm& draw : arm.draws())
    draws.push_back(Rounded((draw.delta().*metric.delta)().value()));
  json control = {{"name", name}, {"draws", draws}};
  if ((arm.delta_mean().*metric.has_mean)()) control["mean"] = Rounded((arm.delta_mean().*metric.mean)());
  if (metric.has_p != nullptr && (arm.*metric.has_p)()) control["p"] = Rounded((arm.*metric.p)());
  return control;
}

json SizePoint(const SavedModel& model) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  json point = {{"label", model.label},
                {"n_parameters", model.use.n_parameters()},
                {"peak_depth", Rounded(profile.peak_depth())},
                {"centroid", Rounded(profile.centroid_rel())}};
  const auto put = [&](const char* low, const char* high, const v1::BootstrapEstimate& estimate) {
    point[low] = Rounded(estimate.ci_low());
    point[high] = Rounded(estimate.ci_high());
  };
  if (profile.bootstrap().has_peak_depth()) put("peak_low", "peak_high", profile.bootstrap().peak_depth());
  if (profile.bootstrap().has_centroid_rel())
    put("centroid_low", "centroid_high", profile.bootstrap().centroid_rel());
  return point;
}

}  // namespace

const v1::AntecedentNull* ShownNull(const v1::Nulls& nulls) {
  const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
  if (shuffled.lag_matched().has_effect()) return &shuffled.lag_matched();
  return shuffled.uniform().has_effect() ? &shuffled.uniform() : nullptr;
}

std::string NullName(const v1::Nulls& nulls, const v1::AntecedentNull& null) {
  return &null == &nulls.shuffled_antecedent().uniform() ? "uniform" : "lag-matched";
}

Chart ScoresChart(const HeadScores& of, const std::string& caption, const std::string& image) {
  json data = {{"label", of.label},
               {"score", of.score},
               {"n_layers", of.scores.n_layers()},
               {"n_heads", of.scores.n_heads()},
               {"scores", Numbers(of.scores.values())}};
  PutMatrix("ci_low", of.band.ci_low(), &data);
  PutMatrix("ci_high", of.band.ci_high(), &data);
  return {.kind = "heads", .caption = caption, .data = std::move(data), .image = image};
}

Chart DifferencesChart(const ComparedScores& of, const std::string& caption, const std::string& image) {
  json data = {{"title", of.title},
               {"observed_label", of.observed_label},
               {"null_label", of.other_label},
               {"n_layers", of.difference.n_layers()},
               {"n_heads", of.difference.n_heads()},
               {"effect", Numbers(of.difference.values())},
               {"observed", Numbers(of.observed.values())},
               {"null_mean", Numbers(of.other.values())}};
  PutMatrix("ci_low", of.ci_low, &data);
  PutMatrix("ci_high", of.ci_high, &data);
  PutMatrix("p", of.p, &data);
  return {.kind = "effects", .caption = caption, .data = std::move(data), .image = image};
}

Chart CurvesChart(const std::vector<LayerCurve>& curves, const std::string& value_label,
                  const std::string& caption) {
  json drawn = json::array();
  for (const LayerCurve& curve : curves) drawn.push_back(OverlayCurve(curve));
  return {.kind = "overlay",
          .caption = caption,
          .data = {{"value_label", value_label}, {"curves", std::move(drawn)}}};
}

Chart HeadsChart(const SavedModel& model, const v1::Nulls* nulls) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  v1::HeadMatrix scores;
  scores.set_n_layers(profile.n_layers());
  scores.set_n_heads(profile.n_heads());
  for (const float score : ScoresOf(model)->values) scores.add_values(score);
  Chart chart = ScoresChart({model.label, profile.score(), scores, profile.bootstrap().heads()},
                            absl::StrCat("The ", profile.score(), " score of every head of ", model.label,
                                         ". Each row is a layer, the first at the bottom."),
                            absl::StrCat("heatmap_", model.use.name(), ".png"));
  const v1::AntecedentNull* null = nulls == nullptr ? nullptr : ShownNull(*nulls);
  if (null != nullptr) {
    chart.data["null"] = NullName(*nulls, *null);
    PutMatrix("effect", null->effect(), &chart.data);
    PutMatrix("p", null->p_adjusted(), &chart.data);
  }
  return chart;
}

Chart CurveChart(const SavedModel& model) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  json data = {{"label", model.label},
               {"score", profile.score()},
               {"value_label", ScoreOfKeptHeads(profile)},
               {"per_layer", Numbers(profile.per_layer())}};
  PutBand(profile.bootstrap().per_layer(), &data);
  PutPeak(profile.has_peak_layer(), profile.peak_layer(), profile.has_centroid_rel(), profile.centroid_rel(),
          &data);
  return {.kind = "curve",
          .caption = absl::StrCat("The ", profile.score(), " profile of ", model.label, " over layers",
                                  profile.has_bootstrap() ? ", with its pointwise 95 % band." : "."),
          .data = std::move(data),
          .image = absl::StrCat("profile_", model.use.name(), ".png")};
}

Chart EffectsChart(const SavedModel& model, const v1::AntecedentNull& null) {
  const v1::Nulls& nulls = *model.Get<v1::Nulls>();
  const std::string name = NullName(nulls, null);
  return DifferencesChart(
      {.title = absl::StrCat(model.label, ": ", nulls.score(), " score beyond the ", name, " null"),
       .observed_label = "observed score",
       .other_label = absl::StrCat("mean of the ", name, " null"),
       .difference = null.effect(),
       .observed = null.observed(),
       .other = null.null_mean(),
       .ci_low = null.effect_ci_low(),
       .ci_high = null.effect_ci_high(),
       .p = null.p_adjusted()},
      absl::StrCat("The ", nulls.score(), " score of every head of ", model.label, " beyond what ", name,
                   " shuffled antecedents give",
                   null.has_p_adjusted() ? "; marked: p <= 0.05, adjusted over all heads." : "."),
      absl::StrCat("nulls_heatmap_", model.use.name(), ".png"));
}

Chart DensityChart(const SavedModel& model) {
  const v1::HeadPermutation& heads = model.Get<v1::Nulls>()->head_permutation();
  return {.kind = "density",
          .caption = absl::StrCat(
              "Share of high heads in each layer of ", model.label,
              ", against the same scores permuted over all places, query heads that share keys and values "
              "together; marked: p <= 0.05, adjusted over layers. The band is pointwise."),
          .data = {{"label", model.label},
                   {"observed", Numbers(heads.observed_density())},
                   {"null_mean", Numbers(heads.null_mean())},
                   {"band_low", Numbers(heads.band_low())},
                   {"band_high", Numbers(heads.band_high())},
                   {"p_adjusted", Numbers(heads.p_adjusted())},
                   {"max_quantile", Rounded(heads.max_quantile())}},
          .image = absl::StrCat("nulls_", model.use.name(), ".png")};
}

Chart AblationChart(const SavedModel& model) {
  const v1::Causal& causal = *model.Get<v1::Causal>();
  json metrics = json::array();
  for (const AblationMetric& metric : kAblationMetrics) {
    if (!(causal.top_k().delta().*metric.has_delta)()) continue;
    metrics.push_back({{"name", metric.title},
                       {"unit", metric.unit},
                       {"baseline", Rounded((causal.baseline().metrics().*metric.baseline)())},
                       {"top", Estimate((causal.top_k().delta().*metric.delta)())},
                       {"controls", json::array({Control("random heads", causal.random_k(), metric),
                                                 Control("same layers", causal.matched_k(), metric)})}});
  }
  return {.kind = "ablation",
          .caption = absl::StrCat(
              "What becomes of ", model.label, " without the ",
              Counted(static_cast<uint64_t>(causal.top_heads_size()), "ablated head"),
              ", and without each of the sets of heads drawn, which may hold some of these (dots; bars: "
              "their means). The primary test is that of copy NLL against sets of the same "
              "layers; other p are descriptive."),
          .data = {{"label", model.label},
                   {"ablated", absl::StrCat(ChosenWord(causal), " heads")},
                   {"metrics", std::move(metrics)}},
          .image = absl::StrCat("causal_delta_", model.use.name(), ".png")};
}

Chart LagsChart(const SavedModel& model) {
  const v1::LagBuckets& lags = *model.Get<v1::LagBuckets>();
  json curves = json::array();
  for (const v1::LagBucket& bucket : lags.buckets()) {
    if (bucket.n_copy_ops() == 0) continue;
    json curve = OverlayCurve({LagRange(bucket), bucket.per_layer(), bucket.bootstrap().per_layer()});
    PutPeak(false, 0, bucket.has_centroid_rel(), bucket.centroid_rel(), &curve);
    curves.push_back(std::move(curve));
  }
  return {.kind = "overlay",
          .caption = absl::StrCat("The ", lags.score(), " profile of ", model.label, " by lag."),
          .data = {{"value_label", absl::StrCat(lags.score(), " score of each bucket's kept heads")},
                   {"curves", std::move(curves)}},
          .image = absl::StrCat("lag_overlay_", model.use.name(), ".png")};
}

Chart PatternChart(const SavedModel& model) {
  const v1::AttentionPattern& pattern = *model.Get<v1::AttentionPattern>();
  json tokens = json::array(), targets = json::array();
  for (int i = 0; i < pattern.token_ids_size(); ++i)
    tokens.push_back(i < pattern.tokens_size() ? pattern.tokens(i) : absl::StrCat(pattern.token_ids(i)));
  for (const v1::PatternTarget& target : pattern.targets())
    targets.push_back(json::array({target.query(), target.key()}));
  return {.kind = "pattern",
          .caption = absl::StrCat("Attention of layer ", pattern.head().layer(), " head ",
                                  pattern.head().head(), " of ", model.label, " on prompt ", pattern.prompt(),
                                  ". Each row is a query; framed: what the score reads."),
          .data = {{"label", model.label},
                   {"layer", pattern.head().layer()},
                   {"head", pattern.head().head()},
                   {"tokens", std::move(tokens)},
                   {"probabilities", Numbers(AttentionOf(model)->values)},
                   {"targets", std::move(targets)}},
          .image = absl::StrCat(PatternFigureName(model), ".png")};
}

Chart OverlayChart(const SavedRun& run) {
  json curves = json::array();
  std::string score;
  for (const SavedModel& model : run.models) {
    if (model.Get<v1::Profile>() == nullptr) continue;
    const v1::Profile& profile = *model.Get<v1::Profile>();
    json curve = OverlayCurve({model.label, profile.per_layer(), profile.bootstrap().per_layer()});
    PutPeak(profile.has_peak_layer(), profile.peak_layer(), profile.has_centroid_rel(),
            profile.centroid_rel(), &curve);
    curves.push_back(std::move(curve));
    score = profile.score();
  }
  return {
      .kind = "overlay",
      .caption = absl::StrCat("The ", score, " profiles on relative depth; points mark the peaks."),
      .data = {{"value_label", absl::StrCat(score, " score of kept heads")}, {"curves", std::move(curves)}},
      .image = "cross_size_overlay.png"};
}

Chart SizesChart(const SavedRun& run) {
  json points = json::array();
  for (const SavedModel& model : run.models) {
    const auto* profile = model.Get<v1::Profile>();
    if (profile != nullptr && profile->has_peak_depth()) points.push_back(SizePoint(model));
  }
  return {.kind = "sizes",
          .caption = "Relative depth of peaks and centroids by number of parameters, with 95 % intervals.",
          .data = {{"points", std::move(points)}},
          .image = "peak_depth_parameters.png"};
}

}  // namespace induct::client
