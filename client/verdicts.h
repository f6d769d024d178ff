// What tests and intervals show, in words that claim no more, for summary and report alike.
#pragma once

#include <string>

#include "client/saved_run.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/cross_size.pb.h"
#include "induct/v1/nulls.pb.h"

namespace induct::client {

// Whether its prompts were resampled (of an ablation half of them).
bool HasIntervals(const SavedRun& run);

// What the rank of the ablated heads among the sets that a control drew says, by each metric.
struct ControlVerdict {
  std::string copy_nll;  // "by copy NLL it harms copying more than each of the 20 sets of random heads ..."
  std::string copy_accuracy;  // the same by copy accuracy
  bool metrics_disagree = false;
};

// sets: what the sets hold, "random heads"; may be empty. REQUIRES: HasPs(arm).
ControlVerdict VerdictOf(const v1::Causal& causal, const v1::ControlArm& arm, const std::string& sets);

// Sets of another size than the ablated one have none.
bool HasPs(const v1::ControlArm& arm);

// Whether its copy NLL is the primary test: that of sets of the same layers, else of random ones; neither
// where it has no p.
bool IsPrimary(const v1::Causal& causal, const v1::ControlArm& arm);

// "differs, by less than one layer"; `layer` says which. Empty where there are no intervals.
std::string DifferenceVerdict(const v1::PairedDifference& difference, const std::string& layer);

// What to hold against the strongest head of a null that has intervals and no p: "the highest of 24, its
// interval not adjusted for that; ...". Empty where there are no intervals.
std::string HighestOfAll(const v1::AntecedentNull& null);

}  // namespace induct::client
