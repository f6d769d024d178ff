// What the benchmarks share: a model of pythia-160m's shape with random weights, and clocks.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/decoder_spec.h"
#include "server/engine/engine.h"

namespace induct::engine {

DecoderSpec Pythia160m();

// Random values for any tensor of the spec; layers share names, and so values, which changes no timing.
std::shared_ptr<const TensorSource> RandomWeights(const DecoderSpec& spec);

double Seconds(const std::function<void()>& work);

double Median(std::vector<double> values);

}  // namespace induct::engine
