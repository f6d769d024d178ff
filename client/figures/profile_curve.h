// The profile: the curve over layers, its band, its peak and its centroid.
#pragma once

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// REQUIRES: the model has a profile.
Figure ProfileCurveFigure(const SavedModel& model);

}  // namespace induct::client
