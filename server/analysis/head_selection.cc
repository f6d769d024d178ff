#include "server/analysis/head_selection.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::analysis {
namespace {

// Mean output of every head over the positions of a pass.
class MeanOutputs {
 public:
  explicit MeanOutputs(const DecoderSpec& spec)
      : width_(static_cast<size_t>(spec.n_heads * spec.d_head)),
        sums_(static_cast<size_t>(spec.n_layers) * width_),
        n_positions_(static_cast<size_t>(spec.n_layers)) {}

  absl::Status Add(const engine::HeadOutputs& outputs) {
    const auto layer = static_cast<size_t>(outputs.layer);
    if (layer >= n_positions_.size() || outputs.sums.size() != width_) {
      return absl::InternalError(absl::StrCat(outputs.sums.size(), " head outputs of layer ", outputs.layer,
                                              " do not fit ", n_positions_.size(), " layers of ", width_));
    }
    for (size_t i = 0; i < width_; ++i) sums_[layer * width_ + i] += outputs.sums[i];
    n_positions_[layer] += outputs.n_positions;
    return absl::OkStatus();
  }

  // [L, H, K]. `n_positions` are those that each layer must have had.
  absl::StatusOr<std::vector<float>> Finish(int64_t n_positions) const {
    std::vector<float> means;
    for (size_t i = 0; i < sums_.size(); ++i) {
      const size_t layer = i / width_;
      if (n_positions_[layer] != n_positions) {
        return absl::InternalError(absl::StrCat("the pass gave head outputs of ", n_positions_[layer], " of ",
                                                n_positions, " positions in layer ", layer));
      }
      means.push_back(static_cast<float>(sums_[i] / static_cast<double>(n_positions)));
    }
    return means;
  }

 private:
  const size_t width_;                // H * K
  std::vector<double> sums_;          // [L, H, K]
  std::vector<int64_t> n_positions_;  // [L]
};

// The best `k` of the scores [L, H]: all of them ranked as if they were one layer's.
std::vector<engine::Head> BestHeads(std::span<const float> scores, uint32_t n_heads, uint32_t k) {
  std::vector<engine::Head> best;
  for (const uint32_t at : RankHeads(scores, 1, static_cast<uint32_t>(scores.size()), k)) {
    best.push_back({.layer = at / n_heads, .head = at % n_heads});
  }
  return best;
}

}  // namespace

absl::Status CheckHeads(const DecoderSpec& spec, const CausalOptions& causal) {
  std::set<engine::Head> seen;
  for (const engine::Head& head : causal.heads) {
    const std::string name = absl::StrCat("head ", head.layer, ".", head.head);
    if (head.layer >= spec.n_layers || head.head >= spec.n_heads) {
      return InvalidField("heads", absl::StrCat("the model has no ", name, "; layers are 0 to ",
                                                spec.n_layers - 1, ", heads 0 to ", spec.n_heads - 1));
    }
    if (!seen.insert(head).second) return InvalidField("heads", absl::StrCat(name, " is given twice"));
  }
  const int64_t n_heads = spec.n_layers * spec.n_heads;
  if (!causal.heads.empty() || causal.top_k <= n_heads) return absl::OkStatus();
  return InvalidField("evaluation.causal_top_k",
                      absl::StrCat(causal.top_k, " heads are to be ablated, the model has ", n_heads));
}

absl::StatusOr<HeadSelection> SelectHeads(engine::Model& model, std::span<const Prompt> prompts,
                                          const ProfileOptions& options, const CausalOptions& causal,
                                          std::stop_token stop, const LayerScoresSink& on_layer,
                                          const engine::ProgressSink& on_progress) {
  ProfileOptions scores_only = options;
  scores_only.bootstrap_resamples = 0;
  MeanOutputs means(model.spec());
  HeadOutputsWanted outputs;
  if (causal.ablation == Ablation::kMean) {
    outputs = {.sink = [&](const engine::HeadOutputs& of_layer) { return means.Add(of_layer); },
               .first_position = prompts.empty() ? 0 : prompts[0].n_bos};
  }
  INDUCT_ASSIGN_OR_RETURN(ProfileResult profile,
                          MeasureProfile(model, prompts, scores_only, stop, on_layer, on_progress, outputs));

  HeadSelection selection{.top_heads = causal.heads};
  const std::span<const float> scores = profile.chosen_scores();
  selection.scores.assign(scores.begin(), scores.end());
  if (causal.heads.empty()) {
    selection.top_heads = BestHeads(selection.scores, profile.n_heads, causal.top_k);
    if (selection.scores[size_t{selection.top_heads[0].layer} * profile.n_heads +
                         selection.top_heads[0].head] == 0) {
      selection.warnings.push_back(
          "every head scores 0 on the selection half, so the heads ablated are merely the first ones");
    }
  }
  if (causal.ablation == Ablation::kMean) {
    int64_t n_positions = 0;
    for (const Prompt& prompt : prompts)
      n_positions += static_cast<int64_t>(prompt.tokens.size() - prompt.n_bos);
    INDUCT_ASSIGN_OR_RETURN(selection.replacement, means.Finish(n_positions));
  }
  return selection;
}

}  // namespace induct::analysis
