// GPT-2 (Radford et al. 2019).
#pragma once

#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

absl::StatusOr<DecoderSpec> ParseGpt2(const JsonFields& config);

}  // namespace induct::checkpoint
