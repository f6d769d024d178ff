// The profiles of a run's models, overlaid on relative depth.
#pragma once

#include <optional>

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// None where fewer than two models have a profile.
std::optional<Figure> CrossSizeOverlayFigure(const SavedRun& run);

}  // namespace induct::client
