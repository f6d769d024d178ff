// Where models of different size have their peaks and centroids.
#pragma once

#include <optional>

#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// Whether there are models enough for the figure, with a profile that has a peak and a known number of
// parameters: two where many sizes were asked for (multisize), three in any other comparison.
bool HasPeakDepths(const SavedRun& run);

// None where HasPeakDepths(run) is false.
std::optional<Figure> PeakDepthsFigure(const SavedRun& run);

}  // namespace induct::client
