// GPT-NeoX (Black et al. 2022), the architecture of GPT-NeoX-20B and of all Pythia models.
#pragma once

#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

absl::StatusOr<DecoderSpec> ParseGptNeox(const JsonFields& config);

}  // namespace induct::checkpoint
