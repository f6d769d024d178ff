// The effect against shuffled antecedents of every head, layers upwards.
#pragma once

#include <optional>

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// Of the lag-matched null, else of the uniform one; none where neither has values.
std::optional<Figure> NullsHeatmapFigure(const SavedModel& model);

}  // namespace induct::client
