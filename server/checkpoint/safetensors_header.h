// The JSON header of a safetensors file: which tensors there are and where, with every claim checked against
// the file's size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "server/checkpoint/safetensors.h"

namespace induct::checkpoint {

struct SafetensorsHeader {
  std::unordered_map<std::string, SafetensorsFile::Tensor> tensors;  // float32, float16 and bfloat16
  std::unordered_map<std::string, std::string> unlisted;             // the other tensors' dtypes
};

// `text` is the header; the tensors' data takes `data_bytes` from `data_start` to the end of the file. `what`
// names the file in errors, which are BAD_CHECKPOINT.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view text, uint64_t data_start,
                                                         uint64_t data_bytes, const std::string& what);

}  // namespace induct::checkpoint
