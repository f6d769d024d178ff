// Qwen2, Qwen2.5 (Yang et al. 2024) and Qwen3 (Yang et al. 2025), of Llama's plan.
#pragma once

#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

absl::StatusOr<DecoderSpec> ParseQwen2(const JsonFields& config);
absl::StatusOr<DecoderSpec> ParseQwen3(const JsonFields& config);

}  // namespace induct::checkpoint
