// The index of weights that are split into several files: model.safetensors.index.json and
// pytorch_model.bin.index.json.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::checkpoint {

struct ShardIndex {
  std::vector<std::string> files;           // each once, plain names within the index's folder
  std::map<std::string, uint32_t> file_of;  // a tensor's index in `files`
};

// Reads `weight_map` of an index, which errors call `what`. BAD_CHECKPOINT naming the tensor for a file
// that is no plain name (which could lead out of the folder), a tensor that stands twice, and maps that are
// empty or beyond kMaxShards and kMaxTensors.
absl::StatusOr<ShardIndex> ParseShardIndex(std::string_view text, const std::string& what);

}  // namespace induct::checkpoint
