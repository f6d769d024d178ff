// Copy operations by scanning back from every position, as the definition reads: slow, simple, and only for
// tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "server/analysis/copy_operations.h"

namespace induct::analysis {

inline std::vector<CopyOperation> PlainCopyOperations(std::span<const int32_t> x, uint32_t n_bos,
                                                      ScoreKind kind, Antecedents rule, uint32_t min_lag) {
  std::vector<CopyOperation> operations;
  for (uint32_t t = n_bos; t < x.size(); ++t) {
    std::vector<uint32_t> antecedents;
    for (uint32_t s = n_bos; s < t; ++s) {
      if (x[s] == x[t]) antecedents.push_back(s);
    }
    if (kind == ScoreKind::kPrevious) {
      if (antecedents.empty() && t >= n_bos + 1) operations.push_back({t, 1, {t - 1}});
      continue;
    }
    if (antecedents.empty() || (rule == Antecedents::kFirst && antecedents.size() > 1)) continue;
    const uint32_t lag = t - antecedents.back();
    if (lag < min_lag || (kind == ScoreKind::kInduction && lag == 1)) continue;
    CopyOperation operation{t, lag, {}};
    for (const uint32_t s : antecedents) {
      if (rule != Antecedents::kAll && s != antecedents.back()) continue;
      operation.keys.push_back(kind == ScoreKind::kInduction ? s + 1 : s);
    }
    operations.push_back(operation);
  }
  return operations;
}

}  // namespace induct::analysis
