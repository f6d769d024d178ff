// Runs passes and collects what their sinks are given.
#pragma once

#include <map>
#include <stop_token>
#include <utility>
#include <vector>

#include "server/engine/engine.h"

namespace induct::engine {

// The sums of a pass, [L, N, G, H]. Checks that each (layer, prompt) comes exactly once and last_wave with
// the last ones.
absl::StatusOr<std::vector<double>> CollectSums(Model& model, Pass pass, std::stop_token stop = {});

// Each residual stream of a pass by (layer, prompt), [T, D].
using ResidualStreams = std::map<std::pair<int64_t, int64_t>, std::vector<float>>;
absl::StatusOr<ResidualStreams> CollectResiduals(Model& model, Pass pass);

}  // namespace induct::engine
