// The charts of a report, from saved results. What each kind holds: client/report/document.h. Their images
// are names of files in the figs/ of the run.
#pragma once

#include <string>
#include <vector>

#include "client/report/document.h"
#include "client/saved_run.h"

namespace induct::client {

// The null that a head's effect is told against: the lag-matched one where it has values, as the sharper of
// the two, else the uniform one; nullptr where neither has.
const v1::AntecedentNull* ShownNull(const v1::Nulls& nulls);
// "lag-matched" or "uniform". REQUIRES: `null` is one of `nulls`.
std::string NullName(const v1::Nulls& nulls, const v1::AntecedentNull& null);

// `nulls` may be null; it is of the same model and score. REQUIRES: the model has a profile and its scores.
Chart HeadsChart(const SavedModel& model, const v1::Nulls* nulls);
// REQUIRES of all below: the model has the result.
Chart CurveChart(const SavedModel& model);
Chart EffectsChart(const SavedModel& model, const v1::AntecedentNull& null);
Chart DensityChart(const SavedModel& model);
Chart AblationChart(const SavedModel& model);
Chart LagsChart(const SavedModel& model);
Chart PatternChart(const SavedModel& model);
// Of the run's models that have a profile.
Chart OverlayChart(const SavedRun& run);
Chart SizesChart(const SavedRun& run);

}  // namespace induct::client
