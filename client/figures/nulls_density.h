// Where the high heads are, against heads permuted over all places.
#pragma once

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// REQUIRES: the model has nulls with a head permutation.
Figure NullsDensityFigure(const SavedModel& model);

}  // namespace induct::client
