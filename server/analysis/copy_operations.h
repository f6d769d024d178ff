// Copy operations: where in a prompt a token comes back, and which attention probability each score kind
// reads there. Definitions: docs/method.md, "Copy operations" and "Head scores".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace induct::analysis {

enum class ScoreKind { kInduction, kDuplicate, kPrevious };
inline constexpr std::array<ScoreKind, 3> kScoreKinds = {ScoreKind::kInduction, ScoreKind::kDuplicate,
                                                         ScoreKind::kPrevious};
std::string_view ScoreKindName(ScoreKind kind);  // "induction", ...
std::optional<ScoreKind> ParseScoreKind(std::string_view name);

// From an antecedent to the position that the kind reads. REQUIRES: not kPrevious.
constexpr uint32_t ReadOffset(ScoreKind kind) { return kind == ScoreKind::kInduction ? 1 : 0; }
// The smallest lag that counts: at lag ReadOffset the position read would be the query itself.
constexpr uint32_t SmallestLag(ScoreKind kind, uint32_t min_lag) {
  return min_lag > ReadOffset(kind) ? min_lag : ReadOffset(kind) + 1;
}

enum class Antecedents { kFirst, kNearest, kAll };
std::string_view AntecedentsName(Antecedents antecedents);
std::optional<Antecedents> ParseAntecedents(std::string_view name);

// One operation: the query position and the key positions whose probabilities are summed.
struct CopyOperation {
  uint32_t query = 0;
  uint32_t lag = 0;            // to the latest antecedent; 1 for kPrevious
  std::vector<uint32_t> keys;  // rising
};

// The operations of `kind` in one token row, queries rising. Positions below n_bos are no query, antecedent
// or target. Linear in the row's length (with kAll: in the number of antecedents).
std::vector<CopyOperation> FindCopyOperations(std::span<const int32_t> tokens, uint32_t n_bos, ScoreKind kind,
                                              Antecedents antecedents, uint32_t min_lag);

}  // namespace induct::analysis
