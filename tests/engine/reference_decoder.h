// The decoder again, as plain loops in double precision and without LibTorch: the gold standard for random
// models.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/decoder_spec.h"
#include "server/engine/engine.h"
#include "tests/engine/safetensors_file.h"

namespace induct::engine {

struct ReferenceRun {
  std::vector<std::vector<double>> residual;      // [L + 1][T * D], before the final norm
  std::vector<std::vector<double>> attention;     // [L][H * T * T]
  std::vector<std::vector<double>> head_outputs;  // [L][T * H * K], before the output projection, as replaced
  std::vector<std::vector<double>> logits;        // [T][V]
};

// Heads whose outputs are replaced: from first_position on by their vectors of `vectors` [L, H, K]; by zeros
// at every position where it is empty.
struct ReferenceAblation {
  std::vector<Head> heads;
  std::vector<float> vectors;
  size_t first_position = 0;
};

ReferenceRun RunReference(const DecoderSpec& spec, const StoredTensors& weights,
                          std::span<const int32_t> tokens, const ReferenceAblation& ablation = {});

// In nats, of `token` where the logits [V] are the prediction.
double NegativeLogLikelihood(const std::vector<double>& logits, int32_t token);

}  // namespace induct::engine
