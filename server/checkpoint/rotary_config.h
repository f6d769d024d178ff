// Rotary embedding as config.json describes it: transformers 5 writes one object, rope_parameters; older
// releases wrote the base and the rotated fraction beside an optional rope_scaling.
#pragma once

#include "absl/status/status.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

// What a family calls its base and the rotated fraction of a head outside of the object, and the fraction
// that it assumes where neither spelling names one.
struct RotaryKeys {
  const char* base = "rope_theta";
  const char* fraction = "partial_rotary_factor";
  double default_fraction = 1.0;
};

// Sets rotary_dims, rotary_base and rotary_scaling of `spec`, whose d_head is known. UNSUPPORTED_MODEL for
// rope types other than default and llama3; BAD_CHECKPOINT for values out of range.
absl::Status ReadRotary(const JsonFields& config, const RotaryKeys& keys, DecoderSpec& spec);

}  // namespace induct::checkpoint
