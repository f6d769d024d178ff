// The heatmap: every head's score, layers upwards.
#pragma once

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// REQUIRES: the model has a profile and scores.
Figure HeatmapFigure(const SavedModel& model);

}  // namespace induct::client
