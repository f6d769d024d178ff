// What the fuzzers and the replay of their corpus feed: one target a reader of server/checkpoint.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"

namespace induct::checkpoint {

// `read` gives `bytes` to a reader as the contents of its file, and uses what comes of it. Returns the
// reader's status; ends the process where that is of no documented kind, or what was read breaks a promise.
struct FuzzTarget {
  std::string_view name;
  absl::Status (*read)(std::string_view bytes);
};

// safetensors_header, config, tokenizer, shard_index, pickle and torch_file.
std::span<const FuzzTarget> FuzzTargets();

}  // namespace induct::checkpoint
