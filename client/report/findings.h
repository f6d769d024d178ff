// What a report says of each kind of result: sentences with their intervals, and what follows from the data.
#pragma once

#include <string>
#include <vector>

#include "client/report/document.h"
#include "client/saved_run.h"

namespace induct::client {

struct Findings {
  std::vector<Block> blocks;
  std::vector<std::string> limits;      // that follow from the data, a sentence each
  std::vector<std::string> next_steps;  // likewise
};

// `nulls`, of the same model and score, adds to what a head's tooltip tells; may be null.
// REQUIRES of each: the model, or the run, has the result.
Findings ProfileFindings(const SavedModel& model, const v1::Nulls* nulls);
Findings NullsFindings(const SavedModel& model);
Findings CausalFindings(const SavedModel& model);
Findings LagFindings(const SavedModel& model);
Findings PatternFindings(const SavedModel& model);
Findings CrossSizeFindings(const SavedRun& run);

}  // namespace induct::client
