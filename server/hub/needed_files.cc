#include "server/hub/needed_files.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/quoted.h"
#include "common/shard_limits.h"
#include "common/status.h"
#include "server/hub/hub_json.h"
#include "server/hub/repo_revision.h"

namespace induct::hub {
namespace {

using nlohmann::json;

constexpr char kWeightMap[] = "weight_map";

absl::Status BadIndex(const std::string& what, const std::string& complaint) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat(what, ": ", complaint)),
                    reason::kBadCheckpoint);
}

bool IsShardName(const json& name, std::string_view suffix) {
  return name.is_string() && IsPlainFileName(name.get_ref<const std::string&>()) &&
         absl::EndsWith(name.get_ref<const std::string&>(), absl::string_view(suffix.data(), suffix.size()));
}

}  // namespace

std::optional<WeightChoice> ChooseWeights(const std::function<bool(const std::string& name)>& is_there) {
  static const std::vector<WeightChoice> kForms = {
      {"model.safetensors", false, ".safetensors"},
      {"model.safetensors.index.json", true, ".safetensors"},
      {"pytorch_model.bin", false, ".bin"},
      {"pytorch_model.bin.index.json", true, ".bin"},
  };
  for (const WeightChoice& form : kForms) {
    if (is_there(form.file)) return form;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> ParseShardNames(std::string_view index,
                                                         std::string_view shard_suffix,
                                                         const std::string& what) {
  const json document = ParseFields(index, {kWeightMap});
  const auto map = document.find(kWeightMap);
  if (map == document.end() || !map->is_object() || map->empty()) {
    return BadIndex(what, "is no index of weights: it has no 'weight_map'");
  }
  std::set<std::string> shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!IsShardName(file, shard_suffix)) {
      return BadIndex(what, absl::StrCat("tensor ", Quoted(tensor), " must be mapped to the name of a ",
                                         std::string(shard_suffix), " file, not ",
                                         Quoted(file.dump(-1, ' ', true, json::error_handler_t::replace))));
    }
    shards.insert(file.get<std::string>());
    if (shards.size() > kMaxShards)
      return BadIndex(what, absl::StrCat("names more than ", kMaxShards, " files"));
  }
  return std::vector<std::string>(shards.begin(), shards.end());
}

}  // namespace induct::hub
