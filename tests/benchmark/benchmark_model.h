// What the benchmarks share: models of the Pythia family's shapes with random weights, and clocks.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/decoder_spec.h"
#include "server/engine/engine.h"

namespace induct::engine {

// What a decoder of Pythia's kind consists of.
struct Shape {
  int64_t n_layers, n_heads, d_model, d_head, d_mlp;
};

// A decoder of this shape, with Pythia's vocabulary and context.
DecoderSpec PythiaSpec(const Shape& shape);

// "pythia-70m" ... "pythia-12b". Ends the program where the name is none of them, and says which there are.
DecoderSpec PythiaShape(const std::string& name);

// A random block repeated twice, with readout targets as a profile has them: in the second half each token is
// read by `induction` and `duplicate` (groups 0 and 1), in the first by `previous` (2).
struct RepeatedPrompt {
  RepeatedPrompt(int64_t length, int64_t vocab_size, std::mt19937& random);

  std::vector<int32_t> tokens;
  std::vector<ReadoutTarget> targets;
};

// Of these groups.
inline constexpr int64_t kScoreKinds = 3;

// A pass over prompts, which must outlive it, that hands its sums to nobody.
Pass PassOver(const std::vector<RepeatedPrompt>& prompts);

// Ends the program where a measurement failed.
void Check(const absl::Status& status);

// Random values, stored in `dtype` (not float16), for any tensor of the spec; layers share names, and so
// values, which changes no timing.
std::shared_ptr<const TensorSource> RandomWeights(const DecoderSpec& spec, DType dtype);

double Seconds(const std::function<void()>& work);

double Median(std::vector<double> values);

}  // namespace induct::engine
