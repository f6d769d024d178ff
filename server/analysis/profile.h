// server/analysis is the science on plain arrays and engine primitives.
// Must not know: jobs, clients, files, messages, tokenizers, LibTorch.
//
// This header: one model's induction profile, measured in one forward pass without logits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/bootstrap.h"
#include "server/analysis/copy_operations.h"
#include "server/analysis/layer_profile.h"
#include "server/analysis/prompts.h"
#include "server/engine/engine.h"

namespace induct::analysis {

struct ProfileOptions {
  ScoreKind score = ScoreKind::kInduction;
  Antecedents antecedents = Antecedents::kFirst;
  uint32_t min_lag = 3;
  Aggregation aggregation = Aggregation::kTopQ;
  double high_score_quantile = 0.9;
  uint32_t bootstrap_resamples = 1000;  // 0: none
  uint64_t seed = 123;
  int64_t batch_size = 0;  // 0: auto
  int64_t activation_budget = int64_t{4} << 30;
};

// One score kind's scores over all prompts.
struct HeadScores {
  ScoreKind kind = ScoreKind::kInduction;
  uint64_t n_copy_ops = 0;    // > 0: a kind without operations is absent
  std::vector<float> values;  // [L, H]
};

// A layer's scores, final the moment the layer is done for all prompts.
struct LayerScores {
  uint32_t layer = 0;
  struct Kind {
    ScoreKind kind;
    uint64_t n_copy_ops;
    std::vector<double> values;  // [H]
  };
  std::vector<Kind> kinds;  // those with operations
};
using LayerScoresSink = std::function<absl::Status(const LayerScores&)>;

struct TopHead {
  uint32_t layer = 0, head = 0;
  double score = 0;
  std::optional<Interval> interval;
};

struct ProfileResult {
  ProfileOptions options;
  uint32_t n_layers = 0, n_heads = 0, n_heads_kept = 0, n_prompts = 0;
  uint64_t n_copy_ops = 0;              // of the chosen kind
  std::vector<HeadScores> scores;       // kinds that have operations, in the order of kScoreKinds
  std::vector<float> prompt_scores;     // [N, L, H] of the chosen kind; 0 where a prompt has no operation
  std::vector<uint32_t> prompt_counts;  // [N]
  std::vector<double> per_layer;        // [L]
  std::optional<LayerStatistics> statistics;
  std::vector<TopHead> top_heads;            // best first, min(10, L * H) of them
  std::optional<BootstrapResult> bootstrap;  // absent with one prompt or bootstrap_resamples 0
  std::vector<std::string> warnings;

  // [L, H] of the chosen kind. REQUIRES: the result is a measurement's.
  std::span<const float> chosen_scores() const;
};

// What the heads put out, of the same pass as their scores; without a sink nothing.
struct HeadOutputsWanted {
  engine::HeadOutputSink sink = {};
  int64_t first_position = 0;  // of each prompt
};

// Measures `prompts` (all with the same n_bos) with `model`. `on_layer` sees each layer as it becomes final,
// `on_progress` the share done (0 .. 1); both may be empty. Deterministic for the same inputs up to rounding
// of the engine.
//
// INVALID_ARGUMENT: no prompts; NO_COPY_OPERATIONS where the chosen kind has none at all, saying how many
// prompts were looked at and which antecedents and min_lag. FAILED_PRECONDITION (NON_FINITE_SCORES) naming
// layer and head. CANCELLED. Errors of the engine and of `on_layer` as they are.
absl::StatusOr<ProfileResult> MeasureProfile(engine::Model& model, std::span<const Prompt> prompts,
                                             const ProfileOptions& options, std::stop_token stop,
                                             const LayerScoresSink& on_layer,
                                             const engine::ProgressSink& on_progress,
                                             const HeadOutputsWanted& outputs = {});

}  // namespace induct::analysis
