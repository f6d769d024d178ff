// One head's attention on one prompt: queries downwards, keys to the right.
#pragma once

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// REQUIRES: the model has a pattern and its attention.
Figure PatternFigure(const SavedModel& model);

}  // namespace induct::client
