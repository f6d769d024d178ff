// Made-up runs as client/saved_run.h holds them, for tests of what is drawn and told of them; and run
// directories of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/saved_run.h"
#include "induct/v1/analyses.pb.h"

namespace induct::client {

// The result as one to change: a copy of it takes its place.
template <typename Result, typename Saved>
Result* Mutable(Saved* saved) {
  const Result* now = saved->template Get<Result>();
  const auto copy = now == nullptr ? std::make_shared<Result>() : std::make_shared<Result>(*now);
  saved->results.PutShared(copy);
  return copy.get();
}
// Gives the array of that file, which the model has, other values.
void PutValues(const std::string& file, std::vector<float> values, SavedModel* model);
// Leaves the model no array.
void RemoveArrays(SavedModel* model);

// A model with a profile and its scores, as MakeProfile makes them. `label` becomes a name in file names.
SavedModel ExampleModel(const std::string& label, int n_layers, int n_heads, bool bootstrap = true);

// The results of the other analyses. Those heads whose score is above 0.4 are the significant ones.
v1::Nulls ExampleNulls(const SavedModel& model);
// 20 draws of random heads, 6 of matched ones.
v1::Causal ExampleCausal(const SavedModel& model);
// Lags 3 to 8, 9 to 32 (without operations) and from 33.
v1::LagBuckets ExampleLagBuckets(const SavedModel& model);
// Groups "mine" (scores as the profile's), "sink" (0.5 everywhere) and "token: x" (no operation); contrasts
// of mine with both. Those heads whose score is above 0.4 are the significant ones.
void AddExampleTargets(SavedModel* model);
// Head 1.0 on a block of words that comes twice; sets pattern and attention. REQUIRES: n_tokens is even.
void AddExamplePattern(int n_tokens, SavedModel* model);

// A run that succeeded, of these models.
SavedRun ExampleRun(const std::string& command, std::vector<SavedModel> models);

// The lines of `text` that are not empty.
std::vector<std::string> Lines(const std::string& text);

void WriteBytes(const std::string& path, const std::string& bytes);

// Writes the run into the folder, which is made where it is missing, so that ReadRun reads the same.
void WriteRun(const SavedRun& run, const std::string& folder);

}  // namespace induct::client
