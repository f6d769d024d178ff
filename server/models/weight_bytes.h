// How much memory a model's weights take, told from its description alone.
#pragma once

#include <cstdint>

#include "common/decoder_spec.h"
#include "common/dtype.h"

namespace induct::models {

// Of weights in a dtype; norms and position embeddings are float32 in any. What a whole model takes once its
// final norm and unembedding are loaded too; no pass takes more.
struct WeightBytes {
  int64_t whole = 0;  // every tensor that the description names
  // Position embeddings, final norm, and the two largest layers (one at work, one read ahead) or, after the
  // last one, the unembedding.
  int64_t streamed = 0;
};

WeightBytes WeightBytesOf(const DecoderSpec& spec, DType dtype);

}  // namespace induct::models
