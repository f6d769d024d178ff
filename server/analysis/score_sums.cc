#include "server/analysis/score_sums.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::analysis {

ScoreSums::PromptSums::PromptSums(const KeptGroup& kept, const Shape& shape) : group(kept.group) {
  size_t n_rows = kept.counts.empty() ? shape.n_prompts : 0;
  for (const uint32_t count : kept.counts)
    rows.push_back(count > 0 ? static_cast<uint32_t>(n_rows++) : kNoRow);
  sums.resize(n_rows * shape.n_layers * shape.n_heads);
}

ScoreSums::ScoreSums(const Shape& shape, std::span<const KeptGroup> kept, DType dtype)
    : shape_(shape),
      dtype_(dtype),
      of_group_(size_t{shape.n_groups} * shape.n_layers * shape.n_heads),
      n_prompts_seen_(shape.n_layers) {
  of_prompts_.reserve(kept.size());
  for (const KeptGroup& group : kept) of_prompts_.emplace_back(group, shape);
}

absl::Status ScoreSums::Add(const engine::LayerReadout& readout) {
  INDUCT_RETURN_IF_ERROR(CheckShape(readout));
  INDUCT_RETURN_IF_ERROR(CheckFinite(readout));
  const size_t n_heads = shape_.n_heads, layer = readout.layer;
  const auto sums_of = [&](size_t i, size_t group) {
    return readout.sums.subspan((i * shape_.n_groups + group) * n_heads, n_heads);
  };
  for (size_t i = 0; i < static_cast<size_t>(readout.n_prompts); ++i) {
    for (size_t group = 0; group < shape_.n_groups; ++group) {
      const std::span<const double> sums = sums_of(i, group);
      double* of_group = &of_group_[(group * shape_.n_layers + layer) * n_heads];
      for (size_t head = 0; head < n_heads; ++head) of_group[head] += sums[head];
    }
    for (PromptSums& kept : of_prompts_) {
      const uint32_t row = kept.RowOf(readout.first_prompt + i);
      if (row == kNoRow) continue;
      const std::span<const double> sums = sums_of(i, kept.group);
      std::copy(sums.begin(), sums.end(), &kept.sums[(size_t{row} * shape_.n_layers + layer) * n_heads]);
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

std::span<const double> ScoreSums::of_group(uint32_t group) const {
  const size_t width = size_t{shape_.n_layers} * shape_.n_heads;
  return std::span(of_group_).subspan(group * width, width);
}

std::span<const double> ScoreSums::of_prompts(uint32_t group) const { return Kept(group).sums; }

std::span<const uint32_t> ScoreSums::rows_of_prompts(uint32_t group) const { return Kept(group).rows; }

void ScoreSums::AddConstants(uint32_t group, std::span<const double> constants) {
  const size_t width = size_t{shape_.n_layers} * shape_.n_heads;
  PromptSums& kept = of_prompts_[&Kept(group) - of_prompts_.data()];
  double total = 0;
  for (size_t prompt = 0; prompt < constants.size(); ++prompt) {
    total += constants[prompt];
    const uint32_t row = kept.RowOf(prompt);
    if (row == kNoRow) continue;
    for (size_t i = 0; i < width; ++i) kept.sums[row * width + i] += constants[prompt];
  }
  for (size_t i = 0; i < width; ++i) of_group_[group * width + i] += total;
}

const ScoreSums::PromptSums& ScoreSums::Kept(uint32_t group) const {
  return *std::find_if(of_prompts_.begin(), of_prompts_.end(),
                       [&](const PromptSums& kept) { return kept.group == group; });
}

absl::Status ScoreSums::CheckShape(const engine::LayerReadout& readout) const {
  const int64_t end = readout.first_prompt + readout.n_prompts;
  const bool fits =
      readout.layer >= 0 && readout.layer < shape_.n_layers && readout.first_prompt >= 0 &&
      readout.n_prompts >= 0 && end <= shape_.n_prompts &&
      readout.sums.size() == static_cast<size_t>(readout.n_prompts) * shape_.n_groups * shape_.n_heads;
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
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat("layer ", readout.layer, ", head ", at % shape_.n_heads,
                                     " gives scores that are not finite on prompt ",
                                     readout.first_prompt + at / (shape_.n_groups * shape_.n_heads), " in ",
                                     std::string(DTypeName(dtype_)), ": ", advice)),
                    reason::kNonFiniteScores);
}

}  // namespace induct::analysis
