#include "server/engine/variant_groups.h"

#include <algorithm>

#include "common/status.h"

namespace induct::engine {
namespace {

// Consecutive variants of a pass.
struct Group {
  int64_t first = 0;
  int64_t n_variants = 0;
};

int64_t LongestStream(const AblationPass& pass, int64_t bytes_per_token) {
  size_t longest = 0;
  for (const std::span<const int32_t> tokens : pass.prompts) longest = std::max(longest, tokens.size());
  return static_cast<int64_t>(longest) * bytes_per_token;
}

// Streams that variants take: one each that ablates something, one for what they share.
int64_t StreamCount(std::span<const std::vector<Head>> variants) {
  return 1 +
         std::count_if(variants.begin(), variants.end(), [](const auto& heads) { return !heads.empty(); });
}

// As few groups as there can be of at most `max_streams` streams. REQUIRES: max_streams >= 2.
std::vector<Group> MakeGroups(std::span<const std::vector<Head>> variants, int64_t max_streams) {
  std::vector<Group> groups;
  int64_t n_streams = 0;
  for (size_t i = 0; i < variants.size(); ++i) {
    const int64_t own = variants[i].empty() ? 0 : 1;
    if (groups.empty() || n_streams + own > max_streams) {
      groups.push_back({.first = static_cast<int64_t>(i)});
      n_streams = 1;
    }
    ++groups.back().n_variants;
    n_streams += own;
  }
  return groups;
}

AblationPass PartOf(const AblationPass& pass, Group group) {
  const auto begin = pass.variants.begin() + group.first;
  const auto n_variants = static_cast<double>(pass.variants.size());
  AblationPass part{.prompts = pass.prompts,
                    .variants = {begin, begin + group.n_variants},
                    .replacement = pass.replacement,
                    .first_position = pass.first_position,
                    .batch_size = pass.batch_size};
  part.activation_budget = pass.activation_budget * StreamCount(part.variants) / StreamCount(pass.variants);
  part.on_predictions = [&pass, group](PromptPredictions predictions) {
    predictions.variant += group.first;
    return pass.on_predictions(predictions);
  };
  if (!pass.on_progress) return part;
  part.on_progress = [&pass, group, n_variants](double share) {
    pass.on_progress((static_cast<double>(group.first) + share * static_cast<double>(group.n_variants)) /
                     n_variants);
  };
  return part;
}

}  // namespace

absl::Status RunInGroups(const AblationPass& pass, int64_t bytes_per_token,
                         absl::FunctionRef<absl::Status(const AblationPass&)> run) {
  const int64_t stream = LongestStream(pass, bytes_per_token);
  // Two streams, of one variant and what it shares, are the least that a pass can do with.
  const int64_t max_streams = stream == 0 ? INT64_MAX : std::max<int64_t>(2, pass.activation_budget / stream);
  if (StreamCount(pass.variants) <= max_streams) return run(pass);
  for (const Group group : MakeGroups(pass.variants, max_streams)) {
    INDUCT_RETURN_IF_ERROR(run(PartOf(pass, group)));
  }
  return absl::OkStatus();
}

}  // namespace induct::engine
