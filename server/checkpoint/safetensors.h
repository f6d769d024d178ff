// Reader of .safetensors files: https://github.com/huggingface/safetensors ("Format").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/checkpoint/input_file.h"
#include "server/checkpoint/stored_tensor.h"

namespace induct::checkpoint {

// The tensors of `file`, whose header is checked in full: size at most 100 MB and within the file, and what
// ParseSafetensorsHeader checks. FAILED_PRECONDITION (BAD_CHECKPOINT) naming file, tensor and fault.
absl::StatusOr<TensorTable> ReadSafetensors(const InputFile& file);

// `text` is the JSON header; the tensors' data takes `data_bytes` from `data_start` to the end of the file.
// Every tensor's offsets must be in range, equal to its shape times its dtype's size, and all of them
// together cover the data without overlap or gap. `what` names the file in errors, which are BAD_CHECKPOINT.
absl::StatusOr<TensorTable> ParseSafetensorsHeader(std::string_view text, uint64_t data_start,
                                                   uint64_t data_bytes, const std::string& what);

}  // namespace induct::checkpoint
