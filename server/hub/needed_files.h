// Which files of a repository induct needs: the configuration, the tokenizer where there is one, and one set
// of weights. The order of the forms of weights is the one in which server/checkpoint takes them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::hub {

inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kTokenizerFile[] = "tokenizer.json";
inline constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";

struct WeightChoice {
  std::string file;  // the weights, or the index that names their shards
  bool is_index = false;
  std::string shard_suffix;  // how the name of every shard ends
};

// The first form that is there: model.safetensors, model.safetensors.index.json, pytorch_model.bin,
// pytorch_model.bin.index.json. Nullopt where none is.
std::optional<WeightChoice> ChooseWeights(const std::function<bool(const std::string& name)>& is_there);

// The files that an index names, each once, sorted. FAILED_PRECONDITION (BAD_CHECKPOINT), naming the index as
// `what`, for text that is no index, names anything but files of the same folder with that suffix, or more
// than kMaxShards.
absl::StatusOr<std::vector<std::string>> ParseShardNames(std::string_view index,
                                                         std::string_view shard_suffix,
                                                         const std::string& what);

}  // namespace induct::hub
