#include "server/analysis/predictable_positions.h"

#include <utility>

#include "absl/container/flat_hash_map.h"

namespace induct::analysis {

std::vector<uint32_t> PredictablePositions(std::span<const int32_t> tokens, uint32_t n_bos,
                                           Antecedents antecedents) {
  std::vector<uint32_t> positions;
  absl::flat_hash_map<std::pair<int32_t, int32_t>, uint32_t> times_seen;
  for (uint32_t t = n_bos + 1; t < tokens.size(); ++t) {
    uint32_t& seen = times_seen[{tokens[t - 1], tokens[t]}];
    if (seen == 1 || (seen > 1 && antecedents != Antecedents::kFirst)) positions.push_back(t);
    ++seen;
  }
  return positions;
}

}  // namespace induct::analysis
