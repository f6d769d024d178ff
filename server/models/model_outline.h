// A model that is not here: what is known of it before its weights are downloaded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "common/dtype.h"
#include "server/checkpoint/tokenizer.h"
#include "server/hub/hub.h"

namespace induct::models {

struct ModelOutline {
  DecoderSpec spec;
  std::optional<DType> dtype;            // that config.json says weights are stored in
  std::optional<uint64_t> weight_bytes;  // of the files at the hub
  // nullptr where there is none that can be used: tokenizer_problem says why.
  std::shared_ptr<const checkpoint::Tokenizer> tokenizer;
  std::string tokenizer_problem;
};

// Reads the outline's folder. Errors of ReadConfig and of a broken tokenizer.
absl::StatusOr<ModelOutline> ReadOutline(const hub::Outline& outline);

}  // namespace induct::models
