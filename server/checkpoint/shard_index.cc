#include "server/checkpoint/shard_index.h"

#include <algorithm>
#include <unordered_map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/shard_limits.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/json.h"
#include "server/checkpoint/stored_tensor.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

constexpr char kWeightMap[] = "weight_map";
constexpr size_t kMaxFileName = 255;

// A file of the same folder: nothing that a path could be made of, and fit to be printed.
bool IsPlainName(std::string_view name) {
  const auto odd = [](char c) { return c == '/' || c == '\\' || absl::ascii_iscntrl(c); };
  return !name.empty() && name.size() <= kMaxFileName && name != "." && name != ".." &&
         std::ranges::none_of(name, odd);
}

class IndexReader {
 public:
  explicit IndexReader(const std::string& what) : what_(what) {}

  absl::Status Take(const std::string& tensor, const json& file) {
    if (!file.is_string() || !IsPlainName(file.get_ref<const std::string&>())) {
      return Bad(tensor, "must be mapped to the name of a file in the same folder");
    }
    if (index_.file_of.size() == kMaxTensors) return Bad(tensor, "is one too many");
    if (index_.file_of.contains(tensor)) return Bad(tensor, "stands twice");
    const auto [position, is_new] =
        positions_.emplace(file.get_ref<const std::string&>(), static_cast<uint32_t>(index_.files.size()));
    if (is_new && index_.files.size() == kMaxShards) {
      return Bad(tensor, absl::StrCat("is in one file more than the ", kMaxShards, " that are allowed"));
    }
    if (is_new) index_.files.push_back(position->first);
    index_.file_of.emplace(tensor, position->second);
    return absl::OkStatus();
  }

  ShardIndex Finish() { return std::move(index_); }

 private:
  absl::Status Bad(const std::string& tensor, const std::string& complaint) const {
    return BadCheckpoint(absl::StrCat(what_, ": ", kWeightMap, ": tensor ", Quoted(tensor), " ", complaint));
  }

  const std::string& what_;
  ShardIndex index_;
  std::unordered_map<std::string, uint32_t> positions_;  // of each file in index_.files
};

}  // namespace

absl::StatusOr<ShardIndex> ParseShardIndex(std::string_view text, const std::string& what) {
  IndexReader reader(what);
  const JsonStream entries = {.path = {kWeightMap}, .take = [&](const std::string& tensor, const json& file) {
                                return reader.Take(tensor, file);
                              }};
  INDUCT_ASSIGN_OR_RETURN(const json document, ParseJson(text, what, std::span(&entries, 1)));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(document, what));
  INDUCT_RETURN_IF_ERROR(fields.Object(kWeightMap).status());
  ShardIndex index = reader.Finish();
  if (index.files.empty()) return BadCheckpoint(absl::StrCat(what, ": ", kWeightMap, " names no tensor"));
  return index;
}

}  // namespace induct::checkpoint
