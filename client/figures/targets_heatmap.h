// Heatmaps of the user's own readout: of each group, and of each contrast.
#pragma once

#include <string>
#include <vector>

#include "client/figures/figure.h"
#include "client/saved_run.h"
#include "induct/v1/targets.pb.h"

namespace induct::client {

// Names of the figures: of a group, which has operations, that of its file; of the contrast at that index
// contrast_<model>_<a>_<b>, with a number where another one has it.
std::string GroupFigureName(const v1::TargetGroup& group);
std::string ContrastFigureName(const SavedModel& model, int index);

// Of everything that has values. REQUIRES: the model has the result.
std::vector<Figure> TargetsFigures(const SavedModel& model);

}  // namespace induct::client
