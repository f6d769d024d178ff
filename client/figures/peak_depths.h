// Where models of different size have their peaks and centroids.
#pragma once

#include <optional>

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// None where fewer than three models have a profile with a peak and a known number of parameters.
std::optional<Figure> PeakDepthsFigure(const SavedRun& run);

}  // namespace induct::client
