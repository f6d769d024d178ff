// The "pre_tokenizer" of a tokenizer.json.
#pragma once

#include "absl/status/statusor.h"
#include "server/checkpoint/json.h"
#include "server/checkpoint/tokenizer_json.h"

namespace induct::checkpoint {

// ByteLevel, or a Sequence of Split and Digits that ends with one. UNSUPPORTED_MODEL, BAD_CHECKPOINT.
absl::StatusOr<PreTokenizerDefinition> ReadPreTokenizer(const JsonFields& root);

}  // namespace induct::checkpoint
