#include "server/analysis/null_targets.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::analysis {
namespace {

// Each lag that occurs among a job's operations, rising, and how often.
using LagCounts = std::vector<std::pair<uint32_t, uint64_t>>;

// The positions of each token before a moving end.
using EarlierPositions = absl::flat_hash_map<int32_t, std::vector<uint32_t>>;

// Writes the targets of one prompt.
class PromptTargets {
 public:
  // `most`: targets that will be written, at most.
  PromptTargets(const Prompt& prompt, ScoreKind kind, uint32_t min_lag, uint64_t most,
                AntecedentNullTargets& targets)
      : prompt_(prompt),
        step_(ReadOffset(kind)),
        smallest_lag_(SmallestLag(kind, min_lag)),
        targets_(targets),
        of_prompt_(targets.of_prompt.emplace_back()) {
    of_prompt_.reserve(most);
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

// The operations of a job, and what their targets come to.
struct JobOperations {
  std::vector<std::vector<CopyOperation>> of_prompt;  // [N]
  LagCounts lags;
  std::vector<uint64_t> most_targets;  // [N]

  uint64_t target_bytes() const {
    uint64_t n_targets = 0;
    for (const uint64_t most : most_targets) n_targets += most;
    return n_targets * sizeof(engine::ReadoutTarget);
  }
};

LagCounts CountLags(std::span<const std::vector<CopyOperation>> of_prompt) {
  absl::flat_hash_map<uint32_t, uint64_t> counts;
  for (const std::vector<CopyOperation>& operations : of_prompt) {
    for (const CopyOperation& operation : operations) ++counts[operation.lag];
  }
  LagCounts lags(counts.begin(), counts.end());
  std::sort(lags.begin(), lags.end());
  return lags;
}

// The targets of a prompt, at most: takes every position at a lag that occurs for a candidate of the
// lag-matched null, whatever its token, and so needs no look at it.
uint64_t MostTargets(const Prompt& prompt, std::span<const CopyOperation> operations, ScoreKind kind,
                     uint32_t min_lag, const LagCounts& lags) {
  constexpr uint64_t kObserved = 2;  // of each null's two groups
  const uint32_t smallest_lag = SmallestLag(kind, min_lag);
  absl::flat_hash_map<int32_t, uint32_t> n_earlier;
  uint64_t most = 0;
  uint32_t position = prompt.n_bos;
  for (const CopyOperation& operation : operations) {
    const uint32_t query = operation.query;
    for (; position < query; ++position) ++n_earlier[prompt.tokens[position]];
    const uint32_t n_candidates = query - smallest_lag + 1 - prompt.n_bos - n_earlier[prompt.tokens[query]];
    const auto end = std::upper_bound(lags.begin(), lags.end(), query - prompt.n_bos,
                                      [](uint32_t lag, const auto& counted) { return lag < counted.first; });
    most += 2 * kObserved + std::min(n_candidates, query + 1 - n_candidates) +
            static_cast<uint64_t>(end - lags.begin());
  }
  return most;
}

absl::StatusOr<JobOperations> FindOperations(std::span<const Prompt> prompts, ScoreKind kind,
                                             Antecedents antecedents, uint32_t min_lag,
                                             const std::stop_token& stop) {
  JobOperations job;
  for (const Prompt& prompt : prompts) {
    if (stop.stop_requested()) return Stopped("while looking for shuffled antecedents");
    job.of_prompt.push_back(FindCopyOperations(prompt.tokens, prompt.n_bos, kind, antecedents, min_lag));
  }
  job.lags = CountLags(job.of_prompt);
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (stop.stop_requested()) return Stopped("while looking for shuffled antecedents");
    job.most_targets.push_back(MostTargets(prompts[i], job.of_prompt[i], kind, min_lag, job.lags));
  }
  return job;
}

absl::Status CheckTargetBytes(const JobOperations& job) {
  const uint64_t bytes = job.target_bytes();
  if (bytes <= kMaxNullTargetBytes) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "the shuffled antecedents of ", job.of_prompt.size(), " prompts, whose operations have ",
          job.lags.size(), " different lags, take up to ", bytes, " bytes to list; ", kMaxNullTargetBytes,
          " are allowed: give fewer or shorter prompts, or leave this null out (--shuffle_null false)")),
      reason::kOutOfMemory);
}

absl::Status AddPrompt(const Prompt& prompt, std::span<const CopyOperation> operations, const LagCounts& lags,
                       const std::stop_token& stop, PromptTargets& of_prompt) {
  EarlierPositions earlier;
  uint32_t position = prompt.n_bos;
  for (const CopyOperation& operation : operations) {
    if (stop.stop_requested()) return Stopped("while looking for shuffled antecedents");
    for (; position < operation.query; ++position) earlier[prompt.tokens[position]].push_back(position);
    of_prompt.AddOperation(operation.query, earlier[prompt.tokens[operation.query]], lags);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AntecedentNullTargets> FindNullTargets(std::span<const Prompt> prompts, ScoreKind kind,
                                                      Antecedents antecedents, uint32_t min_lag,
                                                      uint32_t first_group, const std::stop_token& stop) {
  INDUCT_ASSIGN_OR_RETURN(const JobOperations job, FindOperations(prompts, kind, antecedents, min_lag, stop));
  INDUCT_RETURN_IF_ERROR(CheckTargetBytes(job));
  AntecedentNullTargets targets{.end_group = first_group};
  for (NullTargets& null : targets.nulls) {
    null.observed_group = targets.end_group++;
    null.effect_group = targets.end_group++;
  }
  for (const auto& [lag, count] : job.lags) targets.lags.push_back(lag);
  targets.of_prompt.reserve(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    PromptTargets of_prompt(prompts[i], kind, min_lag, job.most_targets[i], targets);
    INDUCT_RETURN_IF_ERROR(AddPrompt(prompts[i], job.of_prompt[i], job.lags, stop, of_prompt));
  }
  return targets;
}

}  // namespace induct::analysis
