// What the benchmarks share: models of the Pythia family's shapes with random weights, and clocks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/decoder_spec.h"
#include "server/engine/engine.h"

namespace induct::engine {

// "pythia-70m" ... "pythia-12b". Ends the program where the name is none of them, and says which there are.
DecoderSpec PythiaShape(const std::string& name);

// Random values, stored in `dtype` (not float16), for any tensor of the spec; layers share names, and so
// values, which changes no timing.
std::shared_ptr<const TensorSource> RandomWeights(const DecoderSpec& spec, DType dtype);

double Seconds(const std::function<void()>& work);

double Median(std::vector<double> values);

}  // namespace induct::engine
