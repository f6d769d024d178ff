#include "server/analysis/targets.h"

#include <algorithm>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/bootstrap_t.h"
#include "server/analysis/score_pass.h"

namespace induct::analysis {
namespace {

// What is read at most: some 300 MB of targets.
constexpr uint64_t kMaxReadouts = uint64_t{20} << 20;

uint64_t Length(uint32_t first, uint32_t last) { return uint64_t{last} - first + 1; }

// Where each token stands, of the positions so far from n_bos on.
using Places = std::unordered_map<int32_t, std::vector<uint32_t>>;

// What the query `t` reads; nothing: it is no operation.
std::vector<uint32_t> KeysOf(const Detector& detector, const Prompt& prompt, uint32_t t, Places& places) {
  switch (detector.kind) {
    case Detector::Kind::kSink:
      return std::vector<uint32_t>(t > 0 ? 1 : 0, 0);
    case Detector::Kind::kSelf:
      return std::vector<uint32_t>(1, t);
    case Detector::Kind::kOffset:
      return std::vector<uint32_t>(t >= detector.offset + prompt.n_bos ? 1 : 0, t - detector.offset);
    case Detector::Kind::kSameToken:
      return places[prompt.tokens[t]];
    case Detector::Kind::kToken:
      return places[detector.token];
  }
  return {};
}

// What the prompts are read for: targets, and the operations of each group.
class TargetsFound {
 public:
  TargetsFound(const TargetsOptions& options, std::span<const Prompt> prompts)
      : of_prompt(prompts.size()),
        counts(options.groups.size(), std::vector<uint32_t>(prompts.size())),
        weights(options.groups.size(), std::vector<double>(prompts.size())) {
    for (const Target& target : options.targets) AddTarget(target);
    for (const Detector& detector : options.detectors) {
      for (size_t i = 0; i < prompts.size(); ++i) AddDetector(detector, prompts[i], i);
    }
  }

  bool is_unweighted(uint32_t group) const { return std::ranges::equal(weights[group], counts[group]); }
  uint64_t n_operations(uint32_t group) const {
    uint64_t n = 0;
    for (const uint32_t count : counts[group]) n += count;
    return n;
  }

  std::vector<std::vector<engine::ReadoutTarget>> of_prompt;  // [N]
  std::vector<std::vector<uint32_t>> counts;                  // [G][N]: operations of each prompt
  std::vector<std::vector<double>> weights;                   // [G][N]: what they weigh in all

 private:
  void AddTarget(const Target& target) {
    for (uint32_t query = target.first_query; query <= target.last_query; ++query) {
      for (uint32_t key = target.first_key; key <= target.last_key; ++key)
        Read(target.prompt, query, key, target.group, target.weight);
      AddOperation(target.prompt, target.group, target.weight);
    }
  }

  void AddDetector(const Detector& detector, const Prompt& prompt, size_t number) {
    const bool seeks_tokens =
        detector.kind == Detector::Kind::kSameToken || detector.kind == Detector::Kind::kToken;
    Places places;
    for (uint32_t t = prompt.n_bos; t < prompt.tokens.size(); ++t) {
      const std::vector<uint32_t> keys = KeysOf(detector, prompt, t, places);
      for (const uint32_t key : keys) Read(number, t, key, detector.group, 1);
      if (!keys.empty()) AddOperation(number, detector.group, 1);
      if (seeks_tokens) places[prompt.tokens[t]].push_back(t);
    }
  }

  void Read(size_t prompt, uint32_t query, uint32_t key, uint32_t group, double weight) {
    of_prompt[prompt].push_back(
        {.query = query, .key = key, .group = group, .weight = static_cast<float>(weight)});
  }
  void AddOperation(size_t prompt, uint32_t group, double weight) {
    ++counts[group][prompt];
    weights[group][prompt] += weight;
  }
};

// How many probabilities a detector reads of a prompt at most.
uint64_t MostRead(const Detector& detector, const Prompt& prompt) {
  const uint64_t n = prompt.tokens.size();
  const bool reads_many =
      detector.kind == Detector::Kind::kSameToken || detector.kind == Detector::Kind::kToken;
  return reads_many ? n * (n - 1) / 2 : n;
}

// The share of the sums of one group in a resample: what its prompts weigh there, divided by what all its
// operations do.
struct GroupRows {
  std::vector<size_t> prompts;      // of the rows, those with operations
  std::vector<const double*> rows;  // each [L, H]

  GroupRows(const ScoreSums& sums, uint32_t group) {
    const std::span<const uint32_t> row_of = sums.rows_of_prompts(group);
    const size_t width = size_t{sums.shape().n_layers} * sums.shape().n_heads;
    for (size_t prompt = 0; prompt < row_of.size(); ++prompt) {
      if (row_of[prompt] == kNoRow) continue;
      prompts.push_back(prompt);
      rows.push_back(&sums.of_prompts(group)[row_of[prompt] * width]);
    }
  }
};

// What a group's operations weigh in all, given what the prompts do.
double WeightOf(std::span<const double> of_prompts, std::span<const double> weights) {
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) sum += of_prompts[i] * weights[i];
  return sum;
}

// Makes the result from the sums of a pass.
class Summary {
 public:
  Summary(const TargetsOptions& targets, const TargetsFound& found, const ScoreSums& sums,
          const std::optional<Strata>& strata, std::stop_token stop, TargetsResult& result)
      : targets_(targets),
        found_(found),
        sums_(sums),
        strata_(strata),
        stop_(std::move(stop)),
        result_(result) {}

  absl::StatusOr<TargetGroup> Group(uint32_t group) const {
    TargetGroup made{.n_operations = found_.n_operations(group)};
    if (made.n_operations == 0) return made;
    for (size_t i = 0; i < found_.counts[group].size(); ++i) {
      made.n_prompts += found_.counts[group][i] > 0;
      made.weight += found_.weights[group][i];
    }
    for (const double sum : sums_.of_group(group))
      made.scores.push_back(static_cast<float>(sum / made.weight));
    const std::span<const float> scores = made.scores;
    const std::vector<uint32_t> kept =
        RankHeads(scores, result_.n_layers, result_.n_heads, result_.n_heads_kept);
    made.per_layer = MeansOfKept(scores, kept, result_.n_layers);
    INDUCT_RETURN_IF_ERROR(AddIntervals(group, kept, made));
    return made;
  }

  absl::StatusOr<TargetContrast> Contrast(uint32_t a, uint32_t b) const {
    TargetContrast made;
    const TargetGroup &first = result_.groups[a], &second = result_.groups[b];
    if (first.n_operations == 0 || second.n_operations == 0) return made;
    for (size_t i = 0; i < first.scores.size(); ++i)
      made.difference.push_back(double{first.scores[i]} - double{second.scores[i]});
    INDUCT_RETURN_IF_ERROR(AddDifferenceIntervals(a, b, made));
    INDUCT_RETURN_IF_ERROR(AddTest(a, b, made));
    return made;
  }

 private:
  WeighedRows Rows(std::span<const uint32_t> kept, uint32_t n_kept) const {
    return {.n_layers = result_.n_layers,
            .n_heads = result_.n_heads,
            .kept = kept,
            .n_kept = n_kept,
            .tail_share = TailShare(*strata_),
            .resamples = result_.options.bootstrap_resamples};
  }

  absl::Status AddIntervals(uint32_t group, std::span<const uint32_t> kept, TargetGroup& made) const {
    const std::vector<uint32_t>& counts = found_.counts[group];
    if (!strata_ || !CanResample(*strata_, counts)) return absl::OkStatus();
    const Resampler resampler(*strata_, counts, result_.options.seed);
    const GroupRows of_group(sums_, group);
    WeighedRows rows = Rows(kept, result_.n_heads_kept);
    rows.rows = of_group.rows;
    std::vector<double> of_prompts(counts.size());
    const bool unweighted = found_.is_unweighted(group);
    rows.weigh = [&](uint32_t r, std::span<double> weights) {
      const double n_operations = resampler.Draw(r, of_prompts);
      for (size_t i = 0; i < weights.size(); ++i) weights[i] = of_prompts[of_group.prompts[i]];
      return unweighted ? n_operations : WeightOf(of_prompts, found_.weights[group]);
    };
    INDUCT_ASSIGN_OR_RETURN(ResampledScores resampled, ResampleRows(rows, stop_));
    made.heads = std::move(resampled.heads);
    made.layers = CurveIntervals(resampled.curves, result_.n_layers, rows.tail_share);
    return absl::OkStatus();
  }

  // The rows of both groups, those of the second with minus signs, each weighed by its own group's weight.
  absl::Status AddDifferenceIntervals(uint32_t a, uint32_t b, TargetContrast& made) const {
    if (!strata_ || !CanResample(*strata_, found_.counts[a], found_.counts[b])) return absl::OkStatus();
    const Resampler resampler(*strata_, found_.counts[a], result_.options.seed, found_.counts[b]);
    const GroupRows first(sums_, a), second(sums_, b);
    std::vector<uint32_t> any(result_.n_layers);  // curves of differences are not told
    WeighedRows rows = Rows(any, 1);
    rows.rows = first.rows;
    rows.rows.insert(rows.rows.end(), second.rows.begin(), second.rows.end());
    std::vector<double> of_prompts(found_.counts[a].size());
    rows.weigh = [&](uint32_t r, std::span<double> weights) {
      resampler.Draw(r, of_prompts);
      const double of_a = WeightOf(of_prompts, found_.weights[a]);
      const double of_b = WeightOf(of_prompts, found_.weights[b]);
      for (size_t i = 0; i < first.prompts.size(); ++i) weights[i] = of_prompts[first.prompts[i]] / of_a;
      for (size_t i = 0; i < second.prompts.size(); ++i)
        weights[first.prompts.size() + i] = -of_prompts[second.prompts[i]] / of_b;
      return 1.0;
    };
    INDUCT_ASSIGN_OR_RETURN(ResampledScores resampled, ResampleRows(rows, stop_));
    made.heads = std::move(resampled.heads);
    return absl::OkStatus();
  }

  absl::Status AddTest(uint32_t a, uint32_t b, TargetContrast& made) const {
    const GroupRows first(sums_, a), second(sums_, b);
    const size_t n_scores = made.difference.size();
    TestedEffects effects{.n_layers = result_.n_layers,
                          .n_heads = result_.n_heads,
                          .n_kept = 1,
                          .two_sided = true,
                          .resamples = targets_.null_resamples,
                          .seed = result_.options.seed};
    for (size_t i = 0, k = 0; i < first.prompts.size(); ++i) {
      const size_t prompt = first.prompts[i];
      while (k < second.prompts.size() && second.prompts[k] < prompt) ++k;
      if (k == second.prompts.size() || second.prompts[k] != prompt) continue;
      for (size_t h = 0; h < n_scores; ++h) {
        effects.values.push_back(first.rows[i][h] / found_.weights[a][prompt] -
                                 second.rows[k][h] / found_.weights[b][prompt]);
      }
      ++effects.n_prompts;
    }
    made.n_prompts = effects.n_prompts;
    if (made.n_prompts == 0) return absl::OkStatus();
    made.prompt_effect.assign(n_scores, 0.0);
    for (size_t i = 0; i < effects.values.size(); ++i)
      made.prompt_effect[i % n_scores] += effects.values[i] / made.n_prompts;
    if (made.n_prompts < kMinTestedPrompts) return absl::OkStatus();
    INDUCT_ASSIGN_OR_RETURN(AdjustedPValues p, BootstrapT(std::move(effects), stop_));
    made.p_adjusted = std::move(p.heads);
    return absl::OkStatus();
  }

  const TargetsOptions& targets_;
  const TargetsFound& found_;
  const ScoreSums& sums_;
  const std::optional<Strata>& strata_;
  const std::stop_token stop_;
  TargetsResult& result_;
};

void WarnOfGroups(const TargetsOptions& targets, TargetsResult& result) {
  for (size_t i = 0; i < targets.groups.size(); ++i) {
    const TargetGroup& group = result.groups[i];
    if (group.n_operations == 0) {
      result.warnings.push_back(absl::StrCat("the group ", targets.groups[i], " has no operation"));
    } else if (group.n_prompts == 1 && !group.heads.empty()) {
      result.warnings.push_back(absl::StrCat("the group ", targets.groups[i],
                                             " has operations of one prompt alone, so its intervals have no "
                                             "width; they come from resampling prompts"));
    }
  }
}

}  // namespace

absl::Status CheckTargets(const TargetsOptions& targets, std::span<const Prompt> prompts) {
  uint64_t n_read = 0;
  for (size_t i = 0; i < targets.targets.size(); ++i) {
    const Target& target = targets.targets[i];
    const std::string field = absl::StrCat("targets[", i, "]");
    if (target.prompt >= prompts.size()) {
      return InvalidField(field, absl::StrCat("there is no prompt ", target.prompt, "; prompts are 0 to ",
                                              prompts.size() - 1));
    }
    const size_t n_tokens = prompts[target.prompt].tokens.size();
    if (target.last_query >= n_tokens) {
      return InvalidField(field, absl::StrCat("query ", target.last_query, " lies outside prompt ",
                                              target.prompt, ", whose positions are 0 to ", n_tokens - 1));
    }
    n_read += Length(target.first_query, target.last_query) * Length(target.first_key, target.last_key);
  }
  for (const Detector& detector : targets.detectors) {
    for (const Prompt& prompt : prompts) n_read += MostRead(detector, prompt);
  }
  if (n_read <= kMaxReadouts) return absl::OkStatus();
  return InvalidField("targets",
                      absl::StrCat("up to ", n_read, " probabilities are to be read, ", kMaxReadouts,
                                   " are allowed; use fewer or shorter prompts, or "
                                   "smaller ranges"));
}

absl::StatusOr<TargetsResult> MeasureTargets(engine::Model& model, std::span<const Prompt> prompts,
                                             const ProfileOptions& options, const TargetsOptions& targets,
                                             std::stop_token stop, const engine::ProgressSink& on_progress) {
  INDUCT_RETURN_IF_ERROR(CheckArguments(prompts, options));
  const TargetsFound found(targets, prompts);
  TargetsResult result{.options = options,
                       .n_layers = static_cast<uint32_t>(model.spec().n_layers),
                       .n_heads = static_cast<uint32_t>(model.spec().n_heads)};
  result.n_heads_kept = HeadsKept(options.aggregation, options.high_score_quantile, result.n_heads);
  std::vector<KeptGroup> kept;
  for (uint32_t group = 0; group < targets.groups.size(); ++group) {
    if (found.n_operations(group) > 0) kept.push_back({.group = group, .counts = found.counts[group]});
  }
  if (kept.empty()) {
    return WithReason(absl::InvalidArgumentError("no group has an operation in these prompts"),
                      reason::kNoCopyOperations);
  }
  ScoreSums sums({.n_prompts = static_cast<uint32_t>(prompts.size()),
                  .n_layers = result.n_layers,
                  .n_heads = result.n_heads,
                  .n_groups = static_cast<uint32_t>(targets.groups.size())},
                 kept, model.options().dtype);
  const auto layer_done = [](uint32_t) { return absl::OkStatus(); };
  INDUCT_RETURN_IF_ERROR(
      RunScorePass(model, prompts, found.of_prompt, options, stop, layer_done, on_progress, sums));

  const std::optional<Strata> strata =
      StrataToResample(prompts, options.bootstrap_resamples, result.warnings);
  const Summary summary(targets, found, sums, strata, stop, result);
  for (uint32_t group = 0; group < targets.groups.size(); ++group) {
    INDUCT_ASSIGN_OR_RETURN(TargetGroup made, summary.Group(group));
    result.groups.push_back(std::move(made));
  }
  for (const auto& [a, b] : targets.contrasts) {
    INDUCT_ASSIGN_OR_RETURN(TargetContrast made, summary.Contrast(a, b));
    result.contrasts.push_back(std::move(made));
  }
  WarnOfGroups(targets, result);
  return result;
}

}  // namespace induct::analysis
