// The charts of a report, from saved results. What each kind holds: client/report/document.h. Their images
// are names of files in the figs/ of the run.
#pragma once

#include <string>
#include <vector>

#include "client/report/document.h"
#include "client/saved_run.h"
#include "induct/v1/nulls.pb.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// The null that a head's effect is told against: the lag-matched one where it has values, as the sharper of
// the two, else the uniform one; nullptr where neither has.
const v1::AntecedentNull* ShownNull(const v1::Nulls& nulls);
// "lag-matched" or "uniform". REQUIRES: `null` is one of `nulls`.
std::string NullName(const v1::Nulls& nulls, const v1::AntecedentNull& null);

// Of any score of a model's heads.
struct HeadScores {
  std::string label;  // the model's
  std::string score;  // what the score is called
  const v1::HeadMatrix& scores;
  const v1::HeadBand& band;  // without matrices where there are no intervals
};
Chart ScoresChart(const HeadScores& of, const std::string& caption, const std::string& image);

// Of any two that are compared, head by head.
struct ComparedScores {
  std::string title;
  std::string observed_label, other_label;  // what the two are called, the first minus the second
  const v1::HeadMatrix& difference;
  const v1::HeadMatrix& observed;
  const v1::HeadMatrix& other;
  const v1::HeadMatrix& ci_low;  // those that follow without values where there are none
  const v1::HeadMatrix& ci_high;
  const v1::HeadMatrix& p;
};
Chart DifferencesChart(const ComparedScores& of, const std::string& caption, const std::string& image);

// Curves over layers, of one model or several.
struct LayerCurve {
  std::string label;
  const google::protobuf::RepeatedField<double>& values;
  const v1::LayerBand& band;  // without values where there is none
};
Chart CurvesChart(const std::vector<LayerCurve>& curves, const std::string& value_label,
                  const std::string& caption);

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
