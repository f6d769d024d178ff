// The decoder again, as plain loops in double precision and without LibTorch: the gold standard for random
// models.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/decoder_spec.h"
#include "tests/engine/safetensors_file.h"

namespace induct::engine {

struct ReferenceRun {
  std::vector<std::vector<double>> residual;   // [L + 1][T * D], before the final norm
  std::vector<std::vector<double>> attention;  // [L][H * T * T]
};

ReferenceRun RunReference(const DecoderSpec& spec, const StoredTensors& weights,
                          std::span<const int32_t> tokens);

}  // namespace induct::engine
