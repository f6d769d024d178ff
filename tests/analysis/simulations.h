// Whole analyses on many data sets of a simulated model: how often its p reject and its intervals hold the
// truth. The tests take a few hundred data sets, tests/benchmark/simulations.cc thousands.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/analysis/causal.h"
#include "server/analysis/nulls.h"
#include "tests/analysis/simulated_model.h"

namespace induct::analysis {

// Means over data sets, by what they are of.
class Tally {
 public:
  void Add(const std::string& what, double value) { Add(what, value, 1); }
  void Add(const Tally& other);
  bool Has(const std::string& what) const;
  double Mean(const std::string& what) const;  // REQUIRES: Has(what)
  std::vector<std::string> names() const;      // in the order of appearance

 private:
  struct Row {
    std::string what;
    double sum = 0;
    uint64_t n = 0;
  };
  void Add(const std::string& what, double sum, uint64_t n);

  std::vector<Row> rows_;
};

// The tally of the data sets 0 .. n - 1, which two threads share: the same however they do.
Tally CountDataSets(uint64_t n, const std::function<void(uint64_t data_set, Tally&)>& count);

struct Design {
  Skew skew = Skew::kNone;
  uint32_t n_prompts = 60;
  std::vector<uint32_t> lags = {4, 8, 16, 32};   // of two tasks: the default strata are eight
  uint32_t resamples = 399;                      // of every kind
  Aggregation aggregation = Aggregation::kTopQ;  // of what intervals are of
};

// No head has an effect; those of a group, a layer and a prompt vary together. p by head and by layer against
// the shuffled antecedents.
Tally CountNoEffect(const Design& design, uint64_t n_data_sets);
// The intervals of the same models, whose heads are all alike.
Tally CountIntervalsWithoutEffect(const Design& design, uint64_t n_data_sets);

// Some heads of the middle layers stand out. The intervals of profile, nulls, lag buckets and of the
// difference to a model of half the layers.
Tally CountIntervals(const Design& design, uint64_t n_data_sets);

// Heads of a group resemble each other, whose places are drawn: p of the head permutation.
Tally CountPermutation(const Design& design, uint64_t n_data_sets);

// Of two models one has the other's curve a layer deeper, the margin: how often each statistic is called
// equivalent.
Tally CountEquivalence(const Design& design, uint64_t n_data_sets);

// The heads of two layers score higher than all others, which has nothing to do with what ablating them does:
// the p of a causal ablation, and the intervals of its deltas. Once it makes no difference which heads are
// ablated, once the heads of a layer resemble each other.
Tally CountCausal(const Design& design, uint64_t n_data_sets);

// Heads without any effect give the copied position what they give the one behind it: a contrast of the two,
// as the user's own targets, and its intervals.
Tally CountContrast(const Design& design, uint64_t n_data_sets);

// Three heads of 96 are induction heads, of score 0.3 where others give 0.05, and copying needs them: how
// often each p finds them.
Tally CountPower(const Design& design, uint64_t n_data_sets);

}  // namespace induct::analysis
