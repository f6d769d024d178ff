// Runs passes and collects what their sinks are given.
#pragma once

#include <map>
#include <stop_token>
#include <utility>
#include <vector>

#include "server/engine/engine.h"

namespace induct::engine {

// The sums of a pass, [L, N, C, H]. Checks that each (layer, prompt) comes exactly once and last_wave with
// the last ones.
absl::StatusOr<std::vector<double>> CollectSums(Model& model, Pass pass, std::stop_token stop = {});

// Each residual stream of a pass by (layer, prompt), [T, D].
using ResidualStreams = std::map<std::pair<int64_t, int64_t>, std::vector<float>>;
absl::StatusOr<ResidualStreams> CollectResiduals(Model& model, Pass pass);

// What a pass gives of all heads' outputs, over its waves.
struct HeadOutputTotals {
  std::vector<double> sums;          // [L', H, K], L' the layers that are run
  std::vector<int64_t> n_positions;  // [L']
};
absl::StatusOr<HeadOutputTotals> CollectHeadOutputs(Model& model, Pass pass);

// The predictions of a pass by (variant, prompt). Checks that each pair comes exactly once.
using Predictions = std::map<std::pair<int64_t, int64_t>, std::vector<Prediction>>;
absl::StatusOr<Predictions> CollectPredictions(Model& model, AblationPass pass, std::stop_token stop = {});

}  // namespace induct::engine
