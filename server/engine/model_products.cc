#include "server/engine/model_products.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "server/engine/errors.h"
#include "server/engine/micro_batch_runner.h"
#include "server/engine/predictions.h"

namespace induct::engine {
namespace {

// A dtype that takes longer than float32 by less may as well be the faster one.
constexpr double kClearlySlower = 1.1;

}  // namespace

absl::Status ModelProducts::Settle(const LinearWork& work, std::stop_token stop) {
  if (!Chooses()) return absl::OkStatus();
  const size_t n_shapes = ShapesOf(work);
  const auto end = choices_.begin() + static_cast<std::ptrdiff_t>(n_shapes);
  if (std::find(choices_.begin(), end, std::nullopt) == end) return absl::OkStatus();
  const std::vector<LinearShape> shapes = Shapes(work);
  ++time_.n_passes;
  for (const LinearShape& shape : shapes) time_.flop += shape.pass_flop;
  const auto choices = chooser_->Choose(shapes, time_, stop);
  if (stop.stop_requested()) return Stopped();
  std::copy(choices.begin(), choices.end(), choices_.begin());
  INDUCT_RETURN_IF_ERROR(UseChoices(std::move(stop)));
  // One shape tells enough, and does not take long: the last of a layer, which no activation follows.
  CompareWithFloat32(shapes[kLinearsOfLayer.size() - 1]);
  return absl::OkStatus();
}

absl::Status ModelProducts::UseChoices(std::stop_token stop) {
  LayerMethods methods;
  for (size_t i = 0; i < methods.size(); ++i) {
    if (choices_[i]) methods[i] = choices_[i]->method;
  }
  if (choices_.back()) weights_.SetUnembeddingMethod(choices_.back()->method);
  if (methods == used_) return absl::OkStatus();
  INDUCT_RETURN_IF_ERROR(
      weights_.SetLayerMethods(methods, MicroBatchTokens(weights_.device()), std::move(stop)));
  used_ = methods;
  return absl::OkStatus();
}

void ModelProducts::CompareWithFloat32(const LinearShape& shape) {
  if (shape.dtype == at::kFloat || times_float32_) return;
  const auto& choice = choices_[kLinearsOfLayer.size() - 1];
  if (choice) times_float32_ = chooser_->BesideFloat32(shape, choice->method, time_);
}

std::vector<LinearUse> ModelProducts::Uses(const LinearWork& work) const {
  std::vector<LinearUse> uses;
  if (!Chooses()) return uses;
  for (const LinearShape& shape : Shapes(work)) {
    const std::optional<LinearChoice>& choice = choices_[uses.size()];
    uses.push_back({.n_rows = shape.n_rows,
                    .n_in = shape.n_in,
                    .n_out = shape.n_out,
                    .choice = choice.value_or(LinearChoice{.method = DefaultMethod(shape.dtype)})});
  }
  if (times_float32_.value_or(0) > kClearlySlower)
    uses[kLinearsOfLayer.size() - 1].times_float32 = *times_float32_;
  return uses;
}

std::vector<LinearShape> ModelProducts::Shapes(const LinearWork& work) const {
  const bool gated = spec_.layers.front().mlp_gate.has_value();
  const auto shape = [&](int64_t n_rows, int64_t n_in, int64_t n_out, int64_t n_all_rows) {
    return LinearShape{
        .n_rows = n_rows,
        .n_in = n_in,
        .n_out = n_out,
        .dtype = weights_.options().dtype().toScalarType(),
        .may_pack = !weights_.streams_layers(),
        .pass_flop = 2.0 * static_cast<double>(n_all_rows) * static_cast<double>(n_in * n_out)};
  };
  const auto of_layer = [&](int64_t n_in, int64_t n_out) {
    return shape(MicroBatchTokens(weights_.device()), n_in, n_out, spec_.n_layers * work.n_tokens);
  };
  LinearShape mlp_input = of_layer(spec_.d_model, (gated ? 2 : 1) * spec_.d_mlp);
  if (!gated) mlp_input.activation = spec_.activation;
  std::vector<LinearShape> shapes = {
      of_layer(spec_.d_model, (spec_.n_heads + 2 * spec_.n_kv_heads) * spec_.d_head),
      of_layer(spec_.n_heads * spec_.d_head, spec_.d_model), mlp_input, of_layer(spec_.d_mlp, spec_.d_model)};
  if (work.n_logits == 0) return shapes;
  shapes.push_back(
      shape(LogitsRows(spec_, weights_.device()), spec_.d_model, spec_.vocab_size, work.n_logits));
  shapes.back().may_pack = false;  // may be the embeddings too
  return shapes;
}

}  // namespace induct::engine
