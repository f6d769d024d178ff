#include "tests/analysis/simulations.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <thread>
#include <utility>

#include "server/analysis/cross_size.h"
#include "server/analysis/lag_buckets.h"
#include "server/analysis/targets.h"

namespace induct::analysis {
namespace {

constexpr double kLevel = 0.05;

template <typename T>
T Get(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    std::abort();
  }
  return *std::move(result);
}

ProfileOptions OptionsOf(const Design& design, uint64_t data_set) {
  return {.aggregation = design.aggregation, .bootstrap_resamples = design.resamples, .seed = data_set};
}

ProfileOptions WithoutIntervals(Aggregation aggregation) {
  return {.aggregation = aggregation, .bootstrap_resamples = 0};
}

// Two heads of a layer are kept, so that its p is not that of its best head.
ProfileOptions TestOptions(uint64_t data_set) {
  return {.high_score_quantile = 0.75, .bootstrap_resamples = 0, .seed = data_set};
}

NullsResult MeasureSimulated(const SimulatedHeads& heads, std::span<const Prompt> prompts,
                             const ProfileOptions& options, const NullOptions& nulls) {
  SimulatedModel model(heads);
  return Get(MeasureNulls(model, prompts, options, nulls, {}, {}, {}));
}

// What endless prompts of the same strata would give.
NullsResult MeasureTruth(SimulatedHeads heads, std::span<const Prompt> prompts, Aggregation aggregation) {
  heads.spread = 0;
  return MeasureSimulated(heads, prompts, WithoutIntervals(aggregation),
                          {.head_permutation = false, .null_resamples = 1});
}

bool Holds(const Interval& interval, double truth) { return interval.low <= truth && truth <= interval.high; }

double ShareHeld(std::span<const Interval> intervals, std::span<const double> truth) {
  double held = 0;
  for (size_t i = 0; i < truth.size(); ++i) held += Holds(intervals[i], truth[i]);
  return held / static_cast<double>(truth.size());
}

double SmallestOf(std::span<const double> values) { return *std::ranges::min_element(values); }

struct NamedNull {
  const char* name;
  AntecedentNull ShuffledAntecedent::*field;
};
constexpr NamedNull kNamedNulls[] = {{"uniform", &ShuffledAntecedent::uniform},
                                     {"lag_matched", &ShuffledAntecedent::lag_matched},
                                     {"same_distance", &ShuffledAntecedent::same_distance}};

void CountRejections(const NullsResult& measured, Tally& tally) {
  for (const auto& [name, field] : kNamedNulls) {
    const AntecedentNull& null = (*measured.shuffled).*field;
    if (null.heads.p_adjusted.empty()) continue;
    tally.Add(std::string("p by head <= 0.05, ") + name, SmallestOf(null.heads.p_adjusted) <= kLevel);
    tally.Add(std::string("p by layer <= 0.05, ") + name, SmallestOf(null.layers.p_adjusted) <= kLevel);
  }
}

// The heads that the analysis kept of the data, whose true values its layers' intervals should hold.
std::vector<uint32_t> KeptOf(const ProfileResult& profile) {
  return RankHeads(profile.chosen_scores(), profile.n_layers, profile.n_heads, profile.n_heads_kept);
}

void CountNullIntervals(const NullsResult& measured, const NullsResult& truth, Tally& tally) {
  const std::vector<uint32_t> kept = KeptOf(measured.profile);
  for (const auto& [name, field] : kNamedNulls) {
    const AntecedentNull &null = (*measured.shuffled).*field, &of_truth = (*truth.shuffled).*field;
    if (null.heads.intervals.empty()) continue;
    const std::span<const double> heads = of_truth.heads.effect;
    tally.Add(std::string("effects of heads held, ") + name, ShareHeld(null.heads.intervals, heads));
    tally.Add(std::string("effects of layers held, ") + name,
              ShareHeld(null.layers.intervals, MeansOfKept(heads, kept, measured.profile.n_layers)));
  }
}

void CountProfileIntervals(const ProfileResult& measured, const ProfileResult& truth, Tally& tally) {
  const std::vector<double> scores(truth.chosen_scores().begin(), truth.chosen_scores().end());
  const std::vector<double> curve =
      MeansOfKept(std::span<const double>(scores), KeptOf(measured), measured.n_layers);
  const BootstrapResult& bootstrap = *measured.bootstrap;
  tally.Add("scores of heads held", ShareHeld(bootstrap.heads, scores));
  const TopHead& best = measured.top_heads[0];
  tally.Add("score of the best head held",
            Holds(*best.interval, scores[size_t{best.layer} * measured.n_heads + best.head]));
  tally.Add("curve of the kept heads held", ShareHeld(bootstrap.per_layer, curve));
  double excess = 0;
  for (size_t layer = 0; layer < curve.size(); ++layer)
    excess += (measured.per_layer[layer] / curve[layer] - 1) / static_cast<double>(curve.size());
  tally.Add("curve of the kept heads too high by", excess);
}

void CountStatisticsIntervals(const ProfileResult& measured, const ProfileResult& truth, Tally& tally) {
  const BootstrapResult& bootstrap = *measured.bootstrap;
  tally.Add("centroid held", Holds(bootstrap.centroid_rel.interval, *truth.statistics->centroid_rel));
  tally.Add("width held",
            Holds(bootstrap.bandwidth_interpolated.interval, *truth.statistics->bandwidth_interpolated));
  tally.Add("peak held", Holds(bootstrap.peak_depth.interval, truth.statistics->peak_depth));
}

// Heads of the middle layers stand out, the first of each layer most.
SimulatedHeads StandingOut(uint32_t n_layers) {
  SimulatedHeads heads{.n_layers = n_layers, .spread = 0.3};
  for (uint32_t layer = 0; layer < n_layers; ++layer) {
    const double from_middle = 12 * ((layer + 0.5) / n_layers - 0.5);
    for (uint32_t head = 0; head < heads.n_heads; ++head)
      heads.scores[size_t{layer} * heads.n_heads + head] =
          0.05 + 0.3 * std::exp(-0.25 * from_middle * from_middle) / (1 + head);
  }
  return heads;
}

// A profile that is compared with others, in resamples of `options`.
ComparableProfile MeasureComparable(const SimulatedHeads& heads, std::span<const Prompt> prompts,
                                    const ProfileOptions& options) {
  SimulatedModel model(heads);
  ComparableProfile measured(
      Get(MeasureProfile(model, prompts, WithoutIntervals(options.aggregation), {}, {}, {})), prompts);
  measured.profile.options = options;
  return measured;
}

ProfileComparison CompareSimulated(const SimulatedHeads& first, const SimulatedHeads& second,
                                   std::span<const Prompt> prompts, const ProfileOptions& options) {
  const ComparableProfile a = MeasureComparable(first, prompts, options);
  const ComparableProfile b = MeasureComparable(second, prompts, options);
  return Get(CompareProfiles(a.Compared(), b.Compared(), options.bootstrap_resamples > 0, {}));
}

void CountDifferences(const ProfileComparison& measured, const ProfileComparison& truth, Tally& tally) {
  tally.Add("difference of two models' centroids held",
            Holds(*measured.centroid_rel->interval, truth.centroid_rel->difference));
  tally.Add("difference of two models' widths held",
            Holds(*measured.bandwidth_interpolated->interval, truth.bandwidth_interpolated->difference));
  tally.Add("difference of two models' peaks held",
            Holds(*measured.peak_depth->interval, truth.peak_depth->difference));
}

LagBucketsResult SimulateBuckets(const SimulatedHeads& heads, std::span<const Prompt> prompts,
                                 const ProfileOptions& options) {
  SimulatedModel model(heads);
  const uint32_t edges[] = {8};
  return Get(MeasureLagBuckets(model, prompts, options, edges, {}, {}, {}));
}

void CountBuckets(const LagBucketsResult& measured, const LagBucketsResult& truth, Tally& tally) {
  if (!measured.centroid_difference || !measured.centroid_difference->interval) return;
  tally.Add("difference of lag buckets' centroids held",
            Holds(*measured.centroid_difference->interval, truth.centroid_difference->value));
}

// Of each head, of which `of_layer` (as a standard deviation) is the layer's.
std::vector<double> DrawDamage(Random& random, const SimulatedHeads& heads, double of_layer) {
  std::vector<double> damage;
  for (uint32_t layer = 0; layer < heads.n_layers; ++layer) {
    const double shared = of_layer * DrawNoise(random, heads.skew);
    for (uint32_t head = 0; head < heads.n_heads; ++head) {
      const double own = std::sqrt(1 - of_layer * of_layer) * DrawNoise(random, heads.skew);
      damage.push_back(0.05 + 0.02 * (shared + own));
    }
  }
  return damage;
}

CausalResult Ablate(const SimulatedHeads& heads, std::span<const Prompt> prompts,
                    const ProfileOptions& options, uint32_t n_ablated) {
  SimulatedModel model(heads);
  return Get(
      MeasureCausal(model, prompts, {}, options, {.top_k = n_ablated, .random_k = n_ablated}, {}, {}, {}));
}

double DamageOf(const AblationArm& arm, const SimulatedHeads& heads) {
  double damage = 0;
  for (const engine::Head& head : arm.heads) damage += heads.damage[head.layer * heads.n_heads + head.head];
  return damage;
}

void CountAblation(const Design& design, std::span<const Prompt> prompts, uint64_t data_set, double of_layer,
                   const std::string& suffix, Tally& tally) {
  Random random(data_set, "damage");
  SimulatedHeads heads{.n_kv_heads = 4, .skew = design.skew, .seed = data_set};
  for (const size_t layer : {5u, 6u})
    std::fill_n(heads.scores.begin() + static_cast<std::ptrdiff_t>(layer * heads.n_heads), heads.n_heads,
                0.2);
  heads.damage = DrawDamage(random, heads, of_layer);
  const CausalResult result = Ablate(heads, prompts, OptionsOf(design, data_set), 6);
  tally.Add("p of copy_nll <= 0.05, matched_k" + suffix, *result.matched_k.p_copy_nll <= kLevel);
  tally.Add("p of copy_accuracy <= 0.05, matched_k" + suffix, *result.matched_k.p_copy_accuracy <= kLevel);
  tally.Add("p of copy_nll <= 0.05, random_k" + suffix, *result.random_k.p_copy_nll <= kLevel);
  tally.Add("p of copy_accuracy <= 0.05, random_k" + suffix, *result.random_k.p_copy_accuracy <= kLevel);
  tally.Add("top_k's delta of copy_nll held" + suffix,
            Holds(*result.top_k.delta.copy_nll->interval, DamageOf(result.top_k, heads)));
}

// Places of the induction heads: two layers and their neighbour, anywhere in it.
std::vector<size_t> PlaceHeads(uint64_t data_set, const SimulatedHeads& heads) {
  Random random(data_set, "places");
  std::vector<size_t> places;
  for (const uint32_t layer : {4u, 5u, 7u})
    places.push_back(layer * heads.n_heads + random.Below(heads.n_heads));
  return places;
}

// Whether the null's p finds every head of `places`, and the layer of every one.
void CountFound(const AntecedentNull& null, const std::string& name, std::span<const size_t> places,
                size_t n_heads, Tally& tally) {
  const auto all = [&](const auto& p_of) {
    return std::ranges::all_of(places, [&](size_t place) { return p_of(place) <= kLevel; });
  };
  tally.Add("p by head finds all three, " + name,
            all([&](size_t place) { return null.heads.p_adjusted[place]; }));
  tally.Add("p by layer finds their layers, " + name,
            all([&](size_t place) { return null.layers.p_adjusted[place / n_heads]; }));
}

}  // namespace

void Tally::Add(const std::string& what, double sum, uint64_t n) {
  auto row = std::ranges::find(rows_, what, &Row::what);
  if (row == rows_.end()) row = rows_.insert(row, Row{.what = what});
  row->sum += sum;
  row->n += n;
}

void Tally::Add(const Tally& other) {
  for (const Row& row : other.rows_) Add(row.what, row.sum, row.n);
}

bool Tally::Has(const std::string& what) const {
  return std::ranges::find(rows_, what, &Row::what) != rows_.end();
}

double Tally::Mean(const std::string& what) const {
  const auto row = std::ranges::find(rows_, what, &Row::what);
  if (row == rows_.end()) std::abort();
  return row->sum / static_cast<double>(row->n);
}

std::vector<std::string> Tally::names() const {
  std::vector<std::string> names;
  for (const Row& row : rows_) names.push_back(row.what);
  return names;
}

Tally CountDataSets(uint64_t n, const std::function<void(uint64_t data_set, Tally&)>& count) {
  Tally even, odd;
  const auto count_from = [&](uint64_t first, Tally& tally) {
    for (uint64_t data_set = first; data_set < n; data_set += 2) count(data_set, tally);
  };
  std::thread other([&] { count_from(1, odd); });
  count_from(0, even);
  other.join();
  even.Add(odd);
  return even;
}

Tally CountNoEffect(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    const NullsResult measured = MeasureSimulated(
        {.n_kv_heads = 4, .skew = design.skew, .seed = data_set}, prompts, TestOptions(data_set),
        {.head_permutation = false, .null_resamples = design.resamples});
    CountRejections(measured, tally);
  });
}

Tally CountIntervalsWithoutEffect(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  const NullsResult truth = MeasureTruth({.n_kv_heads = 4}, prompts, design.aggregation);
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    const NullsResult measured =
        MeasureSimulated({.n_kv_heads = 4, .skew = design.skew, .seed = data_set}, prompts,
                         OptionsOf(design, data_set), {.head_permutation = false, .null_resamples = 1});
    CountProfileIntervals(measured.profile, truth.profile, tally);
    CountNullIntervals(measured, truth, tally);
  });
}

Tally CountIntervals(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  SimulatedHeads large = StandingOut(12), small = StandingOut(6);
  large.skew = small.skew = design.skew;
  const NullsResult truth = MeasureTruth(large, prompts, design.aggregation);
  const auto without_noise = [](SimulatedHeads heads) {
    heads.spread = 0;
    return heads;
  };
  const ProfileOptions without_intervals = WithoutIntervals(design.aggregation);
  const LagBucketsResult true_buckets = SimulateBuckets(without_noise(large), prompts, without_intervals);
  const ProfileComparison true_difference =
      CompareSimulated(without_noise(large), without_noise(small), prompts, without_intervals);
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    SimulatedHeads first = large, second = small;
    first.seed = second.seed = data_set;
    const ProfileOptions options = OptionsOf(design, data_set);
    const NullsResult measured =
        MeasureSimulated(first, prompts, options, {.head_permutation = false, .null_resamples = 1});
    CountProfileIntervals(measured.profile, truth.profile, tally);
    CountStatisticsIntervals(measured.profile, truth.profile, tally);
    CountNullIntervals(measured, truth, tally);
    CountBuckets(SimulateBuckets(first, prompts, options), true_buckets, tally);
    CountDifferences(CompareSimulated(first, second, prompts, options), true_difference, tally);
  });
}

Tally CountPermutation(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    Random random(data_set, "scores");
    SimulatedHeads heads{.n_kv_heads = 4, .skew = design.skew, .of_layer = 0, .seed = data_set};
    double of_group = 0;
    for (size_t i = 0; i < heads.scores.size(); ++i) {
      if (i % 2 == 0) of_group = DrawNoise(random, design.skew);
      heads.scores[i] = std::max(0.01, 0.2 + 0.05 * of_group + 0.015 * DrawNoise(random, design.skew));
    }
    ProfileOptions options = OptionsOf(design, data_set);
    options.bootstrap_resamples = 0;
    const NullsResult measured = MeasureSimulated(
        heads, prompts, options, {.shuffle = false, .permutation_resamples = design.resamples});
    tally.Add("some layer of the permutation", SmallestOf(measured.permutation->p_adjusted) <= kLevel);
    tally.Add("spread of depth", measured.permutation->depth_spread->p <= kLevel);
  });
}

Tally CountEquivalence(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  SimulatedHeads one{.spread = 0.3, .skew = design.skew};
  std::ranges::fill(one.scores, 1e-9);  // else its mass would not lie a layer deeper
  for (const auto& [layer, score] :
       {std::pair(3, 0.15), std::pair(4, 0.15), std::pair(5, 0.3), std::pair(7, 0.15)})
    one.scores[layer * one.n_heads] = score;
  SimulatedHeads deeper = one;
  std::rotate(deeper.scores.begin(), deeper.scores.end() - one.n_heads, deeper.scores.end());
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    SimulatedHeads first = one, second = deeper;
    first.seed = data_set;
    second.seed = data_set + n_data_sets;
    const ProfileComparison compared = CompareSimulated(first, second, prompts, OptionsOf(design, data_set));
    tally.Add("centroids called equivalent", *compared.centroid_rel->equivalent);
    tally.Add("peaks called equivalent", *compared.peak_depth->equivalent);
  });
}

Tally CountCausal(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    CountAblation(design, prompts, data_set, 0, "", tally);
    CountAblation(design, prompts, data_set, 0.6, ", heads of a layer resemble", tally);
  });
}

Tally CountContrast(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  TargetsOptions targets{
      .groups = {"copied", "behind it"}, .contrasts = {{0, 1}}, .null_resamples = design.resamples};
  for (uint32_t i = 0; i < prompts.size(); ++i) {
    for (uint32_t t = prompts[i].lag + 1; t + 1 < prompts[i].tokens.size(); ++t) {
      for (const uint32_t behind : {0u, 1u}) {
        const uint32_t key = t - prompts[i].lag + 1 + behind;
        targets.targets.push_back({.prompt = i,
                                   .first_query = t,
                                   .last_query = t,
                                   .first_key = key,
                                   .last_key = key,
                                   .group = behind});
      }
    }
  }
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    SimulatedModel model({.n_kv_heads = 4, .skew = design.skew, .seed = data_set});
    const TargetsResult result =
        Get(MeasureTargets(model, prompts, OptionsOf(design, data_set), targets, {}, {}));
    const TargetContrast& contrast = result.contrasts[0];
    tally.Add("p of a contrast <= 0.05", SmallestOf(contrast.p_adjusted) <= kLevel);
    tally.Add("differences of heads held",
              ShareHeld(contrast.heads, std::vector<double>(contrast.heads.size())));
  });
}

Tally CountPower(const Design& design, uint64_t n_data_sets) {
  const std::vector<Prompt> prompts = SimulatedPrompts(design.n_prompts, design.lags);
  return CountDataSets(n_data_sets, [&](uint64_t data_set, Tally& tally) {
    Random random(data_set, "damage");
    SimulatedHeads heads{.n_kv_heads = 4, .spread = 0.5, .skew = design.skew, .seed = data_set};
    heads.damage = DrawDamage(random, heads, 0.4);
    const std::vector<size_t> places = PlaceHeads(data_set, heads);
    for (const size_t place : places) {
      heads.scores[place] = 0.37;  // 0.3 on average, as long lags score less
      heads.damage[place] = 0.3;
    }
    const ProfileOptions options = TestOptions(data_set);
    const NullsResult measured = MeasureSimulated(
        heads, prompts, options, {.head_permutation = false, .null_resamples = design.resamples});
    CountFound(measured.shuffled->uniform, "uniform", places, heads.n_heads, tally);
    CountFound(measured.shuffled->lag_matched, "lag_matched", places, heads.n_heads, tally);
    tally.Add("score of a true head", measured.profile.chosen_scores()[places[0]]);
    tally.Add("null of a true head", measured.shuffled->uniform.heads.null_mean[places[0]]);
    tally.Add("score of another", measured.profile.chosen_scores()[0]);
    const CausalResult causal = Ablate(heads, prompts, options, 3);
    tally.Add("p of copy_nll <= 0.05, matched_k", *causal.matched_k.p_copy_nll <= kLevel);
  });
}

}  // namespace induct::analysis
