#include "server/analysis/null_targets.h"

#include <algorithm>
#include <map>

#include "absl/container/flat_hash_map.h"

namespace induct::analysis {
namespace {

// How often each lag occurs among a job's operations.
using LagCounts = std::map<uint32_t, uint64_t>;

// The positions of each token before a moving end.
using EarlierPositions = absl::flat_hash_map<int32_t, std::vector<uint32_t>>;

// Writes the targets of one prompt.
class PromptTargets {
 public:
  PromptTargets(const Prompt& prompt, ScoreKind kind, uint32_t min_lag, AntecedentNullTargets& targets)
      : prompt_(prompt),
        step_(ReadOffset(kind)),
        smallest_lag_(SmallestLag(kind, min_lag)),
        targets_(targets),
        of_prompt_(targets.of_prompt.emplace_back()) {
    for (NullTargets& null : targets_.nulls) {
      null.counts.push_back(0);
      null.constants.push_back(0);
    }
  }

  // `same`: the earlier positions of the query's token, rising; the latest is the antecedent.
  void AddOperation(uint32_t query, std::span<const uint32_t> same, const LagCounts& lags) {
    AddUniform(query, same);
    AddLagMatched(query, same.back(), lags);
  }

 private:
  NullTargets& null(AntecedentNullKind kind) { return targets_.nulls[static_cast<size_t>(kind)]; }

  void Read(uint32_t query, uint32_t key, uint32_t group, double weight) {
    of_prompt_.push_back({.query = query, .key = key, .group = group, .weight = static_cast<float>(weight)});
  }

  void Count(NullTargets& null, uint32_t query, uint32_t antecedent) {
    ++null.counts.back();
    ++null.n_copy_ops;
    Read(query, antecedent + step_, null.observed_group, 1);
    Read(query, antecedent + step_, null.effect_group, 1);
  }

  // Candidates are the positions n_bos .. query - smallest_lag but `same`, which all lie among them.
  void AddUniform(uint32_t query, std::span<const uint32_t> same) {
    NullTargets& uniform = null(AntecedentNullKind::kUniform);
    const uint32_t end = query - smallest_lag_ + 1;
    const size_t n_candidates = end - prompt_.n_bos - same.size();
    if (n_candidates == 0) {
      ++uniform.n_dropped;
      return;
    }
    Count(uniform, query, same.back());
    const double weight = 1.0 / static_cast<double>(n_candidates);
    const size_t n_others = query + 1 - n_candidates;
    if (n_candidates <= n_others) {
      ReadCandidates(query, same, end, uniform.effect_group, -weight);
      return;
    }
    uniform.constants.back() -= weight;
    ReadOthers(query, same, end, uniform.effect_group, weight);
  }

  void ReadCandidates(uint32_t query, std::span<const uint32_t> same, uint32_t end, uint32_t group,
                      double weight) {
    for (uint32_t s = prompt_.n_bos; s < end; ++s) {
      if (!std::binary_search(same.begin(), same.end(), s)) Read(query, s + step_, group, weight);
    }
  }

  // The keys 0 .. query that no candidate reads.
  void ReadOthers(uint32_t query, std::span<const uint32_t> same, uint32_t end, uint32_t group,
                  double weight) {
    for (uint32_t key = 0; key < prompt_.n_bos + step_; ++key) Read(query, key, group, weight);
    for (const uint32_t s : same) Read(query, s + step_, group, weight);
    for (uint32_t key = end + step_; key <= query; ++key) Read(query, key, group, weight);
  }

  void AddLagMatched(uint32_t query, uint32_t antecedent, const LagCounts& lags) {
    NullTargets& matched = null(AntecedentNullKind::kLagMatched);
    double total = 0;
    const auto for_candidates = [&](const auto& visit) {
      for (const auto& [lag, count] : lags) {
        if (lag > query - prompt_.n_bos) break;
        const uint32_t s = query - lag;
        if (prompt_.tokens[s] != prompt_.tokens[query]) visit(s, static_cast<double>(count));
      }
    };
    for_candidates([&](uint32_t, double count) { total += count; });
    if (total == 0) {
      ++matched.n_dropped;
      return;
    }
    Count(matched, query, antecedent);
    for_candidates(
        [&](uint32_t s, double count) { Read(query, s + step_, matched.effect_group, -count / total); });
  }

  const Prompt& prompt_;
  const uint32_t step_, smallest_lag_;
  AntecedentNullTargets& targets_;
  std::vector<engine::ReadoutTarget>& of_prompt_;
};

void AddPrompt(const Prompt& prompt, std::span<const CopyOperation> operations, ScoreKind kind,
               uint32_t min_lag, const LagCounts& lags, AntecedentNullTargets& targets) {
  PromptTargets of_prompt(prompt, kind, min_lag, targets);
  EarlierPositions earlier;
  uint32_t position = prompt.n_bos;
  for (const CopyOperation& operation : operations) {
    for (; position < operation.query; ++position) earlier[prompt.tokens[position]].push_back(position);
    of_prompt.AddOperation(operation.query, earlier[prompt.tokens[operation.query]], lags);
  }
}

}  // namespace

absl::StatusOr<AntecedentNullTargets> FindNullTargets(std::span<const Prompt> prompts, ScoreKind kind,
                                                      Antecedents antecedents, uint32_t min_lag,
                                                      uint32_t first_group, const std::stop_token& stop) {
  const auto stopped = [] {
    return absl::CancelledError("cancelled while looking for shuffled antecedents");
  };
  AntecedentNullTargets targets{.end_group = first_group};
  for (NullTargets& null : targets.nulls) {
    null.observed_group = targets.end_group++;
    null.effect_group = targets.end_group++;
  }
  std::vector<std::vector<CopyOperation>> operations;
  LagCounts lags;
  for (const Prompt& prompt : prompts) {
    if (stop.stop_requested()) return stopped();
    operations.push_back(FindCopyOperations(prompt.tokens, prompt.n_bos, kind, antecedents, min_lag));
    for (const CopyOperation& operation : operations.back()) ++lags[operation.lag];
  }
  for (const auto& [lag, count] : lags) targets.lags.push_back(lag);
  targets.of_prompt.reserve(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (stop.stop_requested()) return stopped();
    AddPrompt(prompts[i], operations[i], kind, min_lag, lags, targets);
  }
  return targets;
}

}  // namespace induct::analysis
