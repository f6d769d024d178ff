#include "server/analysis/score_sums.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/score_targets.h"

namespace induct::analysis {
namespace {

constexpr size_t kGroups = kScoreKinds.size();

}  // namespace

ScoreSums::ScoreSums(const Shape& shape, ScoreKind chosen, DType dtype)
    : shape_(shape),
      chosen_(chosen),
      dtype_(dtype),
      of_prompts_(size_t{shape.n_prompts} * shape.n_layers * shape.n_heads),
      n_prompts_seen_(shape.n_layers) {
  for (std::vector<double>& sums : of_kind_) sums.resize(size_t{shape.n_layers} * shape.n_heads);
}

absl::Status ScoreSums::Add(const engine::LayerReadout& readout) {
  INDUCT_RETURN_IF_ERROR(CheckShape(readout));
  INDUCT_RETURN_IF_ERROR(CheckFinite(readout));
  const size_t n_heads = shape_.n_heads, layer = readout.layer;
  for (size_t i = 0; i < static_cast<size_t>(readout.n_prompts); ++i) {
    for (const ScoreKind kind : kScoreKinds) {
      const std::span<const double> sums =
          readout.sums.subspan((i * kGroups + GroupOf(kind)) * n_heads, n_heads);
      double* of_kind = &of_kind_[GroupOf(kind)][layer * n_heads];
      for (size_t head = 0; head < n_heads; ++head) of_kind[head] += sums[head];
      if (kind != chosen_) continue;
      const size_t prompt = readout.first_prompt + i;
      std::copy(sums.begin(), sums.end(), of_prompts_.begin() + (prompt * shape_.n_layers + layer) * n_heads);
    }
  }
  n_prompts_seen_[layer] += readout.n_prompts;
  if (readout.last_wave && n_prompts_seen_[layer] != shape_.n_prompts) {
    return absl::InternalError(absl::StrCat("layer ", layer, " ended after ", n_prompts_seen_[layer], " of ",
                                            shape_.n_prompts, " prompts"));
  }
  return absl::OkStatus();
}

absl::Status ScoreSums::CheckComplete() const {
  for (size_t layer = 0; layer < n_prompts_seen_.size(); ++layer) {
    if (n_prompts_seen_[layer] == shape_.n_prompts) continue;
    return absl::InternalError(absl::StrCat("the pass ended after ", n_prompts_seen_[layer], " of ",
                                            shape_.n_prompts, " prompts in layer ", layer));
  }
  return absl::OkStatus();
}

std::span<const double> ScoreSums::of_kind(ScoreKind kind) const { return of_kind_[GroupOf(kind)]; }

absl::Status ScoreSums::CheckShape(const engine::LayerReadout& readout) const {
  const int64_t end = readout.first_prompt + readout.n_prompts;
  const bool fits = readout.layer >= 0 && readout.layer < shape_.n_layers && readout.first_prompt >= 0 &&
                    readout.n_prompts >= 0 && end <= shape_.n_prompts &&
                    readout.sums.size() == static_cast<size_t>(readout.n_prompts) * kGroups * shape_.n_heads;
  if (fits) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("a readout of layer ", readout.layer, ", prompts ",
                                          readout.first_prompt, " to ", end, ", ", readout.sums.size(),
                                          " sums does not fit ", shape_.n_layers, " layers, ",
                                          shape_.n_prompts, " prompts, ", shape_.n_heads, " heads"));
}

absl::Status ScoreSums::CheckFinite(const engine::LayerReadout& readout) const {
  const auto bad =
      std::find_if(readout.sums.begin(), readout.sums.end(), [](double sum) { return !std::isfinite(sum); });
  if (bad == readout.sums.end()) return absl::OkStatus();
  const size_t at = bad - readout.sums.begin();
  const absl::string_view advice =
      dtype_ == DType::kFloat32
          ? "the checkpoint's weights may hold NaN or infinity, or values too large to compute with"
          : "try dtype float32, whose range is wider; if that fails too, the weights are at fault";
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat("layer ", readout.layer, ", head ", at % shape_.n_heads,
                                                 " gives scores that are not finite on prompt ",
                                                 readout.first_prompt + at / (kGroups * shape_.n_heads),
                                                 " in ", std::string(DTypeName(dtype_)), ": ", advice)),
      reason::kNonFiniteScores);
}

}  // namespace induct::analysis
