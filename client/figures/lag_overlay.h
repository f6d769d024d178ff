// The profile of each bucket of lags, overlaid on relative depth.
#pragma once

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// REQUIRES: the model has lag buckets.
Figure LagOverlayFigure(const SavedModel& model);

}  // namespace induct::client
