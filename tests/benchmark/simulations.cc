// How often intervals hold the truth, and tests reject a true null, over many data sets that are drawn: the
// table of docs/method.md. A cell takes seconds to minutes.
//
//   build/release/bin/simulations [data sets a cell = 2000]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/analysis/bootstrap.h"
#include "server/analysis/bootstrap_t.h"
#include "server/analysis/control_draws.h"
#include "server/analysis/head_permutation.h"
#include "server/analysis/layer_profile.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

enum class Skew { kNone, kRight, kLeft };
constexpr Skew kSkews[] = {Skew::kNone, Skew::kRight, Skew::kLeft};
constexpr const char* kSkewNames[] = {"normal", "right-skewed", "left-skewed"};
constexpr uint32_t kPromptCounts[] = {20, 60, 400};
constexpr uint32_t kLayers = 12, kHeads = 8, kScores = kLayers * kHeads;
// The default design: two tasks of four lags, whose prompts have as many operations as the lag.
constexpr uint32_t kLags[] = {4, 8, 16, 32}, kStrata = 8;
constexpr uint32_t kResamples = 999;

double Uniform(Random& random) { return static_cast<double>(random.Next() >> 11) * 0x1.0p-53; }

// Mean 0, variance 1; the skewed ones are exponential.
double Draw(Random& random, Skew skew) {
  if (skew == Skew::kNone) {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform(random)));
    return radius * std::cos(2 * M_PI * Uniform(random));
  }
  const double right = -std::log(1 - Uniform(random)) - 1;
  return skew == Skew::kRight ? right : -right;
}

// Numbers of the heads for one prompt: a share of their noise is the prompt's, a share the layer's.
void DrawHeads(Random& random, Skew skew, double* heads) {
  const double of_prompt = Draw(random, skew);
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    const double of_layer = Draw(random, skew);
    for (uint32_t head = 0; head < kHeads; ++head)
      *heads++ = 0.4 * of_prompt + 0.4 * of_layer + std::sqrt(0.68) * Draw(random, skew);
  }
}

double SmallestP(const std::vector<double>& p) { return *std::min_element(p.begin(), p.end()); }

// Shares of data sets.
struct Shares {
  double first = 0, second = 0;
};

// Of data sets without any effect, those with a p <= 0.05 for some head, and for some layer.
Shares NullSize(Skew skew, uint32_t n_prompts, int n_data_sets) {
  Shares rejected;
  for (int data_set = 0; data_set < n_data_sets; ++data_set) {
    Random random(1, "null size", static_cast<uint64_t>(data_set));
    TestedEffects effects{.values = std::vector<double>(size_t{n_prompts} * kScores),
                          .n_prompts = n_prompts,
                          .n_layers = kLayers,
                          .n_heads = kHeads,
                          .n_kept = 2,
                          .resamples = kResamples,
                          .seed = static_cast<uint64_t>(data_set)};
    for (uint32_t prompt = 0; prompt < n_prompts; ++prompt) {
      double* of_prompt = &effects.values[size_t{prompt} * kScores];
      DrawHeads(random, skew, of_prompt);
      const double n_operations = kLags[prompt % std::size(kLags)];
      for (uint32_t i = 0; i < kScores; ++i) of_prompt[i] *= std::sqrt(n_operations);
    }
    const AdjustedPValues p = *BootstrapT(std::move(effects), {});
    rejected.first += (SmallestP(p.heads) <= 0.05) / static_cast<double>(n_data_sets);
    rejected.second += (SmallestP(p.layers) <= 0.05) / static_cast<double>(n_data_sets);
  }
  return rejected;
}

// What a head scores over endless prompts of a stratum.
double TrueScore(uint32_t layer, uint32_t head, uint32_t stratum) {
  return 0.05 + 0.3 * std::exp(-0.25 * (layer - 5.5) * (layer - 5.5)) / (1 + head) + 0.01 * stratum;
}

// One data set's sums [N, L, H] and counts [N] in strata of equal size.
void DrawScores(Skew skew, uint32_t n_prompts, int data_set, std::vector<double>& sums,
                std::vector<uint32_t>& counts) {
  Random random(2, "coverage", static_cast<uint64_t>(data_set));
  sums.assign(size_t{n_prompts} * kScores, 0);
  counts.clear();
  for (uint32_t prompt = 0; prompt < n_prompts; ++prompt) {
    const uint32_t stratum = prompt % kStrata, n_operations = kLags[stratum % std::size(kLags)];
    counts.push_back(n_operations);
    double* of_prompt = &sums[size_t{prompt} * kScores];
    DrawHeads(random, skew, of_prompt);
    for (uint32_t i = 0; i < kScores; ++i) {
      const double truth = TrueScore(i / kHeads, i % kHeads, stratum);
      of_prompt[i] = n_operations * truth * (1 + 0.4 * of_prompt[i]);
    }
  }
}

// Of data sets, those whose 95 % interval holds the truth: mean over heads, and the mean profile's centroid.
Shares Coverage(Skew skew, uint32_t n_prompts, int n_data_sets) {
  Strata strata{.count = kStrata};
  std::vector<double> truth(kScores);
  double total = 0;
  for (uint32_t prompt = 0; prompt < n_prompts; ++prompt) {
    const uint32_t stratum = prompt % kStrata, n_operations = kLags[stratum % std::size(kLags)];
    strata.of_prompt.push_back(stratum);
    total += n_operations;
    for (uint32_t i = 0; i < kScores; ++i)
      truth[i] += n_operations * TrueScore(i / kHeads, i % kHeads, stratum);
  }
  for (double& score : truth) score /= total;
  const std::vector<float> ranked(truth.begin(), truth.end());
  const std::vector<uint32_t> kept = RankHeads(ranked, kLayers, kHeads, kHeads);
  const double centroid =
      *SummarizeProfile(MeansOfKept(std::span<const double>(truth), kept, kLayers))->centroid_rel;
  Shares held;
  std::vector<double> sums;
  std::vector<uint32_t> counts;
  for (int data_set = 0; data_set < n_data_sets; ++data_set) {
    DrawScores(skew, n_prompts, data_set, sums, counts);
    const BootstrapResult result = *BootstrapProfile({.sums = sums,
                                                      .counts = counts,
                                                      .n_layers = kLayers,
                                                      .n_heads = kHeads,
                                                      .kept = kept,
                                                      .n_kept = kHeads,
                                                      .strata = &strata,
                                                      .resamples = kResamples,
                                                      .seed = static_cast<uint64_t>(data_set)},
                                                     {});
    const auto holds = [&](const Interval& interval, double value) {
      return (interval.low <= value && value <= interval.high) / static_cast<double>(n_data_sets);
    };
    for (uint32_t i = 0; i < kScores; ++i) held.first += holds(result.heads[i], truth[i]) / kScores;
    held.second += holds(result.centroid_rel.interval, centroid);
  }
  return held;
}

// What ablating a set does: the sum of what each of its heads does.
double DeltaOf(const std::vector<engine::Head>& heads, const std::vector<double>& of_heads) {
  double delta = 0;
  for (const engine::Head& head : heads) delta += of_heads[head.layer * kHeads + head.head];
  return delta;
}

double ControlP(const ControlDraws& draws, double own, const std::vector<double>& of_heads) {
  const auto reached = std::ranges::count_if(
      draws.sets, [&](const std::vector<engine::Head>& set) { return DeltaOf(set, of_heads) >= own; });
  return static_cast<double>(1 + reached) / static_cast<double>(1 + draws.sets.size());
}

// Of data sets whose top heads are like any others, those with p <= 0.05 against random and matched sets.
Shares CausalSize(Skew skew, int n_data_sets) {
  Shares rejected;
  for (int data_set = 0; data_set < n_data_sets; ++data_set) {
    Random random(3, "causal", static_cast<uint64_t>(data_set));
    std::vector<double> of_heads(kScores);
    DrawHeads(random, skew, of_heads.data());
    std::vector<uint32_t> order(kScores);
    for (uint32_t i = 0; i < kScores; ++i) order[i] = i;
    random.Shuffle(order);
    std::vector<engine::Head> top;
    for (uint32_t i = 0; i < 3; ++i) top.push_back({order[i] / kHeads, order[i] % kHeads});
    const DrawOptions options{.n_layers = kLayers,
                              .n_heads = kHeads,
                              .top_heads = top,
                              .draws = 20,
                              .seed = static_cast<uint64_t>(data_set)};
    const double own = DeltaOf(top, of_heads), share = 1.0 / n_data_sets;
    rejected.first += share * (ControlP(DrawRandomSets(options, 3), own, of_heads) <= 0.05);
    rejected.second += share * (ControlP(DrawMatchedSets(options), own, of_heads) <= 0.05);
  }
  return rejected;
}

// Of data sets whose groups of two heads resemble each other but lie anywhere, those with p <= 0.05 for some
// layer, and for the spread of depth.
Shares PermutationSize(Skew skew, int n_data_sets) {
  constexpr uint32_t kGroups = kHeads / 2;
  Shares rejected;
  for (int data_set = 0; data_set < n_data_sets; ++data_set) {
    Random random(4, "permutation", static_cast<uint64_t>(data_set));
    std::vector<float> scores;
    for (uint32_t group = 0; group < kLayers * kGroups; ++group) {
      const double shared = Draw(random, skew);
      for (int head = 0; head < 2; ++head)
        scores.push_back(static_cast<float>(shared + 0.3 * Draw(random, skew)));
    }
    const HeadPermutationResult result = *PermuteHeads(scores, {kLayers, kHeads, kGroups}, 0.9, kResamples,
                                                       static_cast<uint64_t>(data_set), {});
    rejected.first += (SmallestP(result.p_adjusted) <= 0.05) / static_cast<double>(n_data_sets);
    rejected.second += (result.depth_spread->p <= 0.05) / static_cast<double>(n_data_sets);
  }
  return rejected;
}

void PrintRow(const std::string& what, const std::vector<double>& cells) {
  std::string row = absl::StrCat("| ", what);
  for (const double cell : cells) absl::StrAppend(&row, absl::StrFormat(" | %.3f", cell));
  std::printf("%s |\n", row.c_str());
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  const int n_data_sets = argc > 1 ? std::atoi(argv[1]) : 2000;
  if (n_data_sets < 1) {
    std::fputs("the number of data sets must be at least 1\n", stderr);
    return 2;
  }
  std::printf("%d data sets a cell, %u layers of %u heads\n\n", n_data_sets, kLayers, kHeads);
  std::puts("| | 20 prompts | 60 | 400 |\n|---|---|---|---|");
  for (size_t i = 0; i < std::size(kSkews); ++i) {
    std::vector<double> by_head, by_layer, of_heads, of_centroid;
    for (const uint32_t n_prompts : kPromptCounts) {
      const Shares size = NullSize(kSkews[i], n_prompts, n_data_sets);
      by_head.push_back(size.first);
      by_layer.push_back(size.second);
      const Shares coverage = Coverage(kSkews[i], n_prompts, n_data_sets);
      of_heads.push_back(coverage.first);
      of_centroid.push_back(coverage.second);
    }
    const std::string skew = kSkewNames[i];
    PrintRow(absl::StrCat("p by head <= 0.05, no effect, ", skew), by_head);
    PrintRow(absl::StrCat("p by layer <= 0.05, no effect, ", skew), by_layer);
    PrintRow(absl::StrCat("95 % intervals of heads hold the truth, ", skew), of_heads);
    PrintRow(absl::StrCat("95 % interval of the centroid holds the truth, ", skew), of_centroid);
  }
  std::puts(
      "\n| p <= 0.05, no effect | random_k | matched_k | layers permuted | spread of depth "
      "|\n|---|---|---|---|---|");
  for (size_t i = 0; i < std::size(kSkews); ++i) {
    const Shares causal = CausalSize(kSkews[i], n_data_sets);
    const Shares permuted = PermutationSize(kSkews[i], n_data_sets);
    PrintRow(kSkewNames[i], {causal.first, causal.second, permuted.first, permuted.second});
  }
  return 0;
}

}  // namespace
}  // namespace induct::analysis

int main(int argc, char** argv) { return induct::analysis::Main(argc, argv); }
