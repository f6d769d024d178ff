// All figures of a run.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/figures/figure.h"
#include "client/saved_run.h"

namespace induct::client {

// Every figure that the run has data for.
std::vector<Figure> RunFigures(const SavedRun& run);

// Draws them into the options' folder and copies the PNGs into `figs_dir`, unless it is empty, where those of
// the newest run stay. One figure that fails does not keep the others from being drawn. INVALID_ARGUMENT where
// an option can't be; errors with the exit code kOutput where files can't be written; NOT_FOUND where gnuplot
// is missing; all others mean that pictures are missing, and nothing else. Scripts and data are written also
// where gnuplot fails.
absl::Status DrawRunFigures(const SavedRun& run, const FigureOptions& options, const std::string& figs_dir);

}  // namespace induct::client
