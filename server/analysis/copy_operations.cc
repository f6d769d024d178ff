#include "server/analysis/copy_operations.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace induct::analysis {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// For each position the latest antecedent, or kNone; following it on and on visits all antecedents.
std::vector<uint32_t> LatestAntecedents(std::span<const int32_t> tokens, uint32_t n_bos) {
  std::vector<uint32_t> latest(tokens.size(), kNone);
  absl::flat_hash_map<int32_t, uint32_t> last_position;
  for (uint32_t t = n_bos; t < tokens.size(); ++t) {
    const auto [it, is_first] = last_position.try_emplace(tokens[t], t);
    if (is_first) continue;
    latest[t] = it->second;
    it->second = t;
  }
  return latest;
}

// `previous`: every position that holds its token for the first time reads the one before it.
std::vector<CopyOperation> FirstOccurrences(std::span<const uint32_t> latest, uint32_t n_bos) {
  std::vector<CopyOperation> operations;
  for (uint32_t t = n_bos + 1; t < latest.size(); ++t) {
    if (latest[t] == kNone) operations.push_back({.query = t, .lag = 1, .keys = {t - 1}});
  }
  return operations;
}

// Every token that comes back reads the position beside its antecedent that the kind says (all of them with
// kAll).
std::vector<CopyOperation> Repeats(std::span<const uint32_t> latest, uint32_t n_bos, ScoreKind kind,
                                   Antecedents antecedents, uint32_t min_lag) {
  const uint32_t step = ReadOffset(kind), smallest_lag = SmallestLag(kind, min_lag);
  std::vector<CopyOperation> operations;
  for (uint32_t t = n_bos; t < latest.size(); ++t) {
    const uint32_t s = latest[t];
    if (s == kNone || t - s < smallest_lag) continue;
    if (antecedents == Antecedents::kFirst && latest[s] != kNone) continue;
    CopyOperation operation{.query = t, .lag = t - s, .keys = {s + step}};
    if (antecedents == Antecedents::kAll) {
      for (uint32_t earlier = latest[s]; earlier != kNone; earlier = latest[earlier])
        operation.keys.push_back(earlier + step);
      std::reverse(operation.keys.begin(), operation.keys.end());
    }
    operations.push_back(std::move(operation));
  }
  return operations;
}

}  // namespace

std::vector<CopyOperation> FindCopyOperations(std::span<const int32_t> tokens, uint32_t n_bos, ScoreKind kind,
                                              Antecedents antecedents, uint32_t min_lag) {
  const std::vector<uint32_t> latest = LatestAntecedents(tokens, n_bos);
  switch (kind) {
    case ScoreKind::kInduction:
    case ScoreKind::kDuplicate:
      return Repeats(latest, n_bos, kind, antecedents, min_lag);
    case ScoreKind::kPrevious:
      return FirstOccurrences(latest, n_bos);
  }
  return {};
}

std::string_view ScoreKindName(ScoreKind kind) {
  switch (kind) {
    case ScoreKind::kInduction:
      return "induction";
    case ScoreKind::kDuplicate:
      return "duplicate";
    case ScoreKind::kPrevious:
      return "previous";
  }
  return "";
}

std::optional<ScoreKind> ParseScoreKind(std::string_view name) {
  for (const ScoreKind kind : kScoreKinds) {
    if (name == ScoreKindName(kind)) return kind;
  }
  return std::nullopt;
}

std::string_view AntecedentsName(Antecedents antecedents) {
  switch (antecedents) {
    case Antecedents::kFirst:
      return "first";
    case Antecedents::kNearest:
      return "nearest";
    case Antecedents::kAll:
      return "all";
  }
  return "";
}

std::optional<Antecedents> ParseAntecedents(std::string_view name) {
  for (const Antecedents antecedents : {Antecedents::kFirst, Antecedents::kNearest, Antecedents::kAll}) {
    if (name == AntecedentsName(antecedents)) return antecedents;
  }
  return std::nullopt;
}

}  // namespace induct::analysis
