#include "server/analysis/same_distance.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/bootstrap.h"

namespace induct::analysis {
namespace {

using Operations = std::vector<CopyOperation>;

uint64_t Total(std::span<const uint32_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

// Whether the query of an operation of another lag is a reference of `lag`. (At its own lag there is its own
// token.)
bool IsReference(const Prompt& prompt, uint32_t query, uint32_t lag) {
  return query >= prompt.n_bos + lag && prompt.tokens[query - lag] != prompt.tokens[query];
}

// The lags of the job's operations, rising, with the operations and references of each prompt.
std::vector<LagReferences> CountReferences(std::span<const Prompt> prompts,
                                           std::span<const Operations> of_prompt) {
  std::map<uint32_t, std::vector<uint32_t>> n_operations;  // of each lag [N]
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (const CopyOperation& operation : of_prompt[i]) {
      std::vector<uint32_t>& counts = n_operations[operation.lag];
      counts.resize(prompts.size());
      ++counts[i];
      if (n_operations.size() > kMaxSameDistanceLags) return {};
    }
  }
  std::vector<LagReferences> lags;
  for (auto& [lag, counts] : n_operations) {
    LagReferences& of_lag = lags.emplace_back(LagReferences{.lag = lag, .n_operations = std::move(counts)});
    for (size_t i = 0; i < prompts.size(); ++i) {
      const auto is_reference = [&](const CopyOperation& operation) {
        return IsReference(prompts[i], operation.query, of_lag.lag);
      };
      of_lag.n_references.push_back(static_cast<uint32_t>(std::ranges::count_if(of_prompt[i], is_reference)));
    }
  }
  return lags;
}

// What sums take that are kept of each prompt and lag.
uint64_t KeptBytes(std::span<const LagReferences> lags, uint64_t n_scores) {
  uint64_t n_rows = 0;
  const auto is_there = [](uint32_t count) { return count > 0; };
  for (const LagReferences& lag : lags) {
    n_rows += static_cast<uint64_t>(std::ranges::count_if(lag.n_operations, is_there) +
                                    std::ranges::count_if(lag.n_references, is_there));
  }
  return n_rows * n_scores * sizeof(double);
}

// What a prompt must be read for, by query.
std::vector<engine::ReadoutTarget> LagTargetsOf(const Prompt& prompt, const Operations& operations,
                                                uint32_t read_offset, std::span<const LagReferences> lags) {
  std::vector<engine::ReadoutTarget> targets;
  for (const CopyOperation& operation : operations) {
    for (const LagReferences& lag : lags) {
      const bool is_own = lag.lag == operation.lag;
      if (!is_own && !IsReference(prompt, operation.query, lag.lag)) continue;
      targets.push_back({.query = operation.query,
                         .key = operation.query - lag.lag + read_offset,
                         .group = is_own ? lag.observed_group : lag.reference_group});
    }
  }
  return targets;
}

// Rows of sums, and which prompt each is of.
struct LagRows {
  std::vector<const double*> sums;
  std::vector<uint32_t> prompts;
};

void AddLagRows(const ScoreSums& sums, uint32_t group, size_t n_scores, LagRows& rows) {
  const std::span<const uint32_t> row_of = sums.rows_of_prompts(group);
  for (uint32_t prompt = 0; prompt < row_of.size(); ++prompt) {
    if (row_of[prompt] == kNoRow) continue;
    rows.sums.push_back(&sums.of_prompts(group)[row_of[prompt] * n_scores]);
    rows.prompts.push_back(prompt);
  }
}

double CountWeighed(std::span<const uint32_t> counts, std::span<const double> weights) {
  return std::inner_product(counts.begin(), counts.end(), weights.begin(), 0.0);
}

// What the rows of a lag weigh in a resample of prompts.
struct LagWeights {
  double n_operations = 0;  // 0 where there is no reference
  double of_reference = 0;  // for each of its references' sums

  LagWeights(const LagReferences& lag, std::span<const double> of_prompts) {
    const double n_references = CountWeighed(lag.n_references, of_prompts);
    if (n_references == 0) return;
    n_operations = CountWeighed(lag.n_operations, of_prompts);
    of_reference = n_operations / n_references;
  }
};

std::vector<uint32_t> OperationsOfPrompts(const SameDistanceTargets& targets) {
  std::vector<uint32_t> counts(targets.of_prompt.size());
  for (const LagReferences& lag : targets.lags) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += lag.n_operations[i];
  }
  return counts;
}

// Draws resamples of prompts, and weighs the rows of all lags: first a lag's operations, then its references.
class LagResampler {
 public:
  LagResampler(const SameDistanceTargets& targets, const SameDistanceBootstrap& how,
               std::vector<size_t> n_rows, std::vector<uint32_t> prompts)
      : targets_(targets),
        counts_(OperationsOfPrompts(targets)),
        resampler_(*how.strata, counts_, how.seed),
        resamples_(how.resamples),
        n_rows_(std::move(n_rows)),
        prompts_(std::move(prompts)),
        of_prompts_(counts_.size()) {}

  // As WeighedRows::weigh. A resample without a lag that has both is drawn again, from the stream of a number
  // that no resample has.
  double Weigh(uint64_t r, std::span<double> weights) {
    for (;; r += resamples_) {
      resampler_.Draw(r, of_prompts_);
      const double total = WeighLags(weights);
      if (total > 0) return total;
    }
  }

 private:
  double WeighLags(std::span<double> weights) {
    double total = 0;
    size_t row = 0;
    for (size_t i = 0; i < targets_.lags.size(); ++i) {
      const LagWeights lag(targets_.lags[i], of_prompts_);
      const bool is_there = lag.n_operations > 0;
      total += lag.n_operations;
      for (size_t end = row + n_rows_[2 * i]; row < end; ++row)
        weights[row] = is_there ? of_prompts_[prompts_[row]] : 0;
      for (size_t end = row + n_rows_[2 * i + 1]; row < end; ++row)
        weights[row] = -lag.of_reference * of_prompts_[prompts_[row]];
    }
    return total;
  }

  const SameDistanceTargets& targets_;
  const std::vector<uint32_t> counts_;
  const Resampler resampler_;
  const uint64_t resamples_;
  const std::vector<size_t> n_rows_;     // of each lag's operations and references, in turn
  const std::vector<uint32_t> prompts_;  // of each row
  std::vector<double> of_prompts_;       // weights
};

bool CanResampleSome(const SameDistanceTargets& targets, const Strata& strata) {
  return std::ranges::any_of(targets.lags, [&](const LagReferences& lag) {
    return CanResample(strata, lag.n_operations, lag.n_references);
  });
}

}  // namespace

uint32_t SameDistanceTargets::CountPrompts() const {
  const std::vector<uint32_t> counts = OperationsOfPrompts(*this);
  return static_cast<uint32_t>(std::ranges::count_if(counts, [](uint32_t count) { return count > 0; }));
}

std::vector<KeptGroup> SameDistanceTargets::Kept() const {
  std::vector<KeptGroup> kept;
  for (const LagReferences& lag : lags) {
    kept.push_back({.group = lag.observed_group, .counts = lag.n_operations});
    kept.push_back({.group = lag.reference_group, .counts = lag.n_references});
  }
  return kept;
}

absl::StatusOr<SameDistanceTargets> FindSameDistanceTargets(std::span<const Prompt> prompts, ScoreKind kind,
                                                            Antecedents antecedents, uint32_t min_lag,
                                                            uint32_t first_group, uint64_t n_scores,
                                                            const std::stop_token& stop) {
  std::vector<Operations> operations;
  uint64_t n_operations = 0;
  for (const Prompt& prompt : prompts) {
    if (stop.stop_requested()) return Stopped("while looking for lags");
    operations.push_back(FindCopyOperations(prompt.tokens, prompt.n_bos, kind, antecedents, min_lag));
    n_operations += operations.back().size();
  }
  SameDistanceTargets targets{.of_prompt = std::vector<std::vector<engine::ReadoutTarget>>(prompts.size()),
                              .n_dropped = n_operations,
                              .end_group = first_group};
  std::vector<LagReferences> lags = CountReferences(prompts, operations);
  if (lags.empty() && n_operations > 0) {
    targets.reason = absl::StrCat("the operations have more than ", kMaxSameDistanceLags, " different lags");
    return targets;
  }
  std::erase_if(lags, [](const LagReferences& lag) { return Total(lag.n_references) == 0; });
  if (lags.empty()) {
    targets.reason =
        "no operation has a query of another lag beside it that looks back as far; give prompts of several "
        "lags";
    return targets;
  }
  if (const uint64_t bytes = KeptBytes(lags, n_scores); bytes > kMaxSameDistanceBytes) {
    targets.reason = absl::StrCat("its sums by prompt and lag would take ", bytes, " bytes, ",
                                  kMaxSameDistanceBytes, " are allowed: give fewer prompts, or fewer lags");
    return targets;
  }
  for (LagReferences& lag : lags) {
    lag.observed_group = targets.end_group++;
    lag.reference_group = targets.end_group++;
    targets.n_copy_ops += Total(lag.n_operations);
  }
  targets.n_dropped -= targets.n_copy_ops;
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (stop.stop_requested()) return Stopped("while listing what to read");
    targets.of_prompt[i] = LagTargetsOf(prompts[i], operations[i], ReadOffset(kind), lags);
  }
  targets.lags = std::move(lags);
  return targets;
}

SameDistanceMeans MeansOfSameDistance(const SameDistanceTargets& targets, const ScoreSums& sums) {
  const size_t n_scores = size_t{sums.shape().n_layers} * sums.shape().n_heads;
  SameDistanceMeans means{.observed = std::vector<double>(n_scores),
                          .null_mean = std::vector<double>(n_scores)};
  const auto n_copy_ops = static_cast<double>(targets.n_copy_ops);
  for (const LagReferences& lag : targets.lags) {
    const std::span<const double> observed = sums.of_group(lag.observed_group);
    const std::span<const double> reference = sums.of_group(lag.reference_group);
    const double of_reference = static_cast<double>(Total(lag.n_operations)) /
                                static_cast<double>(Total(lag.n_references)) / n_copy_ops;
    for (size_t i = 0; i < n_scores; ++i) {
      means.observed[i] += observed[i] / n_copy_ops;
      means.null_mean[i] += of_reference * reference[i];
    }
  }
  return means;
}

absl::StatusOr<std::optional<ResampledScores>> ResampleSameDistance(const SameDistanceTargets& targets,
                                                                    const ScoreSums& sums,
                                                                    const SameDistanceBootstrap& how,
                                                                    const std::stop_token& stop) {
  if (!CanResampleSome(targets, *how.strata)) return std::nullopt;
  const ScoreSums::Shape& shape = sums.shape();
  const size_t n_scores = size_t{shape.n_layers} * shape.n_heads;
  LagRows rows;
  std::vector<size_t> n_rows;
  for (const LagReferences& lag : targets.lags) {
    for (const uint32_t group : {lag.observed_group, lag.reference_group}) {
      const size_t before = rows.sums.size();
      AddLagRows(sums, group, n_scores, rows);
      n_rows.push_back(rows.sums.size() - before);
    }
  }
  LagResampler resampler(targets, how, std::move(n_rows), std::move(rows.prompts));
  INDUCT_ASSIGN_OR_RETURN(
      ResampledScores resampled,
      ResampleRows(
          {.rows = std::move(rows.sums),
           .n_layers = shape.n_layers,
           .n_heads = shape.n_heads,
           .kept = how.kept,
           .n_kept = how.n_kept,
           .tail_share = TailShare(*how.strata),
           .resamples = how.resamples,
           .weigh = [&](uint32_t r, std::span<double> weights) { return resampler.Weigh(r, weights); }},
          stop));
  return resampled;
}

}  // namespace induct::analysis
