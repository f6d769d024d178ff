// What ablating the top heads does, against random and matched heads.
#pragma once

#include <optional>

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// A panel for each metric that was measured; none where nothing was. REQUIRES: the model has a causal result.
std::optional<Figure> CausalDeltaFigure(const SavedModel& model);

}  // namespace induct::client
