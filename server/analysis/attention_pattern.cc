#include "server/analysis/attention_pattern.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::analysis {
namespace {

// A pass reads some query rows: as many as keep its sums, one a pair of positions and head, below this.
constexpr size_t kMaxSumsOfPass = size_t{8} << 20;

// Rows first_query .. end - 1.
struct Rows {
  uint32_t first_query = 0, end = 0;
};

std::vector<Rows> SplitRows(uint32_t n_tokens, size_t n_heads) {
  std::vector<Rows> parts;
  size_t pairs = 0;
  for (uint32_t query = 0; query < n_tokens; ++query) {
    if (parts.empty() || (pairs + query + 1) * n_heads > kMaxSumsOfPass) {
      parts.push_back({.first_query = query});
      pairs = 0;
    }
    pairs += query + 1;
    parts.back().end = query + 1;
  }
  return parts;
}

// Every pair of the rows, each a group of its own.
std::vector<engine::ReadoutTarget> TargetsOf(Rows rows) {
  std::vector<engine::ReadoutTarget> targets;
  uint32_t group = 0;
  for (uint32_t query = rows.first_query; query < rows.end; ++query) {
    for (uint32_t key = 0; key <= query; ++key) {
      targets.push_back({.query = query, .key = key, .group = group++});
    }
  }
  return targets;
}

}  // namespace

absl::StatusOr<std::vector<float>> ReadAttentionPattern(engine::Model& model, std::span<const int32_t> tokens,
                                                        engine::Head head, const PatternOptions& options,
                                                        std::stop_token stop,
                                                        const engine::ProgressSink& on_progress) {
  const DecoderSpec& spec = model.spec();
  if (head.layer >= spec.n_layers || head.head >= spec.n_heads) {
    return InvalidField("head",
                        absl::StrCat("there is no head ", head.layer, ".", head.head, "; layers are 0 to ",
                                     spec.n_layers - 1, ", heads 0 to ", spec.n_heads - 1));
  }
  if (tokens.size() > kMaxPatternTokens) {
    return InvalidField("prompt", absl::StrCat("it has ", tokens.size(),
                                               " tokens; a pattern is read of at most ", kMaxPatternTokens));
  }
  const auto n_tokens = static_cast<uint32_t>(tokens.size());
  std::vector<float> pattern(size_t{n_tokens} * n_tokens);
  const std::vector<Rows> parts = SplitRows(n_tokens, static_cast<size_t>(spec.n_heads));
  for (size_t part = 0; part < parts.size(); ++part) {
    engine::Pass pass{.n_layers = int64_t{head.layer} + 1,
                      .batch_size = options.batch_size,
                      .activation_budget = options.activation_budget};
    const std::vector<engine::ReadoutTarget> targets = TargetsOf(parts[part]);
    pass.prompts.push_back({.tokens = tokens, .targets = targets});
    pass.n_groups = static_cast<int64_t>(targets.size());
    pass.on_layer = [&](const engine::LayerReadout& readout) {
      if (readout.layer != head.layer) return absl::OkStatus();
      for (const engine::ReadoutTarget& target : targets) {
        pattern[size_t{target.query} * n_tokens + target.key] =
            static_cast<float>(readout.sums[target.group * spec.n_heads + head.head]);
      }
      return absl::OkStatus();
    };
    pass.on_progress = [&](double fraction) {
      if (on_progress)
        on_progress((static_cast<double>(part) + fraction) / static_cast<double>(parts.size()));
    };
    INDUCT_RETURN_IF_ERROR(model.Run(pass, stop));
  }
  return pattern;
}

}  // namespace induct::analysis
