// How much memory a model's weights take, told from its description alone.
#pragma once

#include <cstdint>

#include "common/decoder_spec.h"
#include "common/dtype.h"

namespace induct::models {

// Upper bounds, for reservations.
struct WeightBytes {
  int64_t whole = 0;  // every tensor that the description names
  int64_t streamed =
      0;  // embeddings, the two largest layers (one at work, one read ahead), final norm and unembedding
};

WeightBytes WeightBytesOf(const DecoderSpec& spec, DType dtype);

}  // namespace induct::models
