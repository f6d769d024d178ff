// One head's attention on one prompt: queries downwards, keys to the right.
#pragma once

#include <string>

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// "pattern_demo-small_2.1_prompt0". REQUIRES: the model has a pattern.
std::string PatternFigureName(const SavedModel& model);

// REQUIRES: the model has a pattern and its attention.
Figure PatternFigure(const SavedModel& model);

}  // namespace induct::client
