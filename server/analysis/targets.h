// The user's own readout: attention from queries to keys that are named, or that detectors find, by group.
// Definition: docs/method.md, "Targets".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/analysis/profile.h"

namespace induct::analysis {

// Every query of the range is an operation, whose value is the sum of the probabilities of the keys. Both
// ends of a range belong to it.
struct Target {
  uint32_t prompt = 0;
  uint32_t first_query = 0, last_query = 0;
  uint32_t first_key = 0, last_key = 0;
  uint32_t group = 0;
  double weight = 1;  // > 0
};

// Operations of weight 1 at the queries t >= n_bos of every prompt, and what each reads.
struct Detector {
  enum class Kind {
    kSink,       // key 0, queries t > 0
    kSelf,       // key t
    kOffset,     // key t - offset >= n_bos
    kSameToken,  // all earlier positions >= n_bos that hold the query's token, where there are some
    kToken       // all earlier positions that hold `token`, where there are some
  };
  Kind kind = Kind::kSelf;
  uint32_t offset = 1;  // of kOffset, >= 1
  int32_t token = 0;    // of kToken
  uint32_t group = 0;
};

struct TargetsOptions {
  std::vector<std::string> groups;  // names, at least one, no two the same
  std::vector<Target> targets;
  std::vector<Detector> detectors;
  std::vector<std::pair<uint32_t, uint32_t>> contrasts;  // groups: the first minus the second
  uint32_t null_resamples = 999;
};

struct TargetGroup {
  uint64_t n_operations = 0;            // where 0, all that follows is 0 or empty
  uint32_t n_prompts = 0;               // that have operations
  double weight = 0;                    // of all operations
  std::vector<float> scores;            // [L, H]: weighted mean of the values
  std::vector<double> per_layer;        // [L], of the group's own kept heads
  std::vector<Interval> heads, layers;  // [L, H], [L]; empty without a bootstrap
};

struct TargetContrast {
  std::vector<double> difference;  // [L, H] of scores; empty where either group has no operations
  std::vector<Interval> heads;     // [L, H]; empty without a bootstrap
  uint32_t n_prompts = 0;          // that have operations of both
  std::vector<double> prompt_effect, p_adjusted;  // [L, H]; empty without such prompts, below 5 of them
};

struct TargetsResult {
  ProfileOptions options;
  uint32_t n_layers = 0, n_heads = 0, n_heads_kept = 0;
  std::vector<TargetGroup> groups;        // as in the options
  std::vector<TargetContrast> contrasts;  // likewise
  std::vector<std::string> warnings;
};

// INVALID_ARGUMENT naming targets[i] where a target lies outside its prompt or there is no such prompt, or
// "targets" where more is to be read than memory should hold. REQUIRES: ranges are ranges, and no key is
// behind a query.
absl::Status CheckTargets(const TargetsOptions& targets, std::span<const Prompt> prompts);

// One pass. REQUIRES: CheckTargets is OK. Errors are those of MeasureProfile; INVALID_ARGUMENT
// (NO_COPY_OPERATIONS) where no group has an operation.
absl::StatusOr<TargetsResult> MeasureTargets(engine::Model& model, std::span<const Prompt> prompts,
                                             const ProfileOptions& options, const TargetsOptions& targets,
                                             std::stop_token stop, const engine::ProgressSink& on_progress);

}  // namespace induct::analysis
