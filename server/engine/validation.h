// Checks before any computing, so that wrong input is a clear sentence and never LibTorch's.
#pragma once

#include "absl/status/status.h"
#include "server/engine/engine.h"

namespace induct::engine {

// FAILED_PRECONDITION where sizes contradict each other.
absl::Status ValidateSpec(const DecoderSpec& spec);

// FAILED_PRECONDITION naming the first tensor that the source lacks or has in another shape.
absl::Status ValidateTensors(const DecoderSpec& spec, const TensorSource& source);

// INVALID_ARGUMENT naming prompt and position of the first token, target or length out of range.
absl::Status ValidatePass(const DecoderSpec& spec, const Pass& pass);

// INVALID_ARGUMENT as for a pass, or naming the variant and its first head that is out of range or comes
// twice.
absl::Status ValidateAblationPass(const DecoderSpec& spec, const AblationPass& pass);

}  // namespace induct::engine
