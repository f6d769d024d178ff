#include "server/engine/model_products.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/status.h"
#include "server/engine/errors.h"
#include "server/engine/micro_batch_runner.h"
#include "server/engine/predictions.h"

namespace induct::engine {
namespace {

// What measuring may cost: a share of the pass's operations, which takes a fiftieth of its time, as few rows
// are slower than many; or what takes less than a tenth of a second.
constexpr double kMeasuringShare = 0.015;
constexpr double kMeasuringFlopOfThread = 4e9;

double MeasuringFlop(double pass_flop) {
  return std::max(kMeasuringShare * pass_flop, kMeasuringFlopOfThread * at::get_num_threads());
}

double FlopOfToken(const LinearShape& shape) { return shape.Flop() / static_cast<double>(shape.n_rows); }

}  // namespace

absl::Status ModelProducts::SettleLayers(int64_t n_tokens, std::stop_token stop) {
  if (!Chooses() || !uses_.empty()) return absl::OkStatus();
  const std::vector<LinearShape> shapes = LayerShapes();
  double flop = 0;
  for (const LinearShape& shape : shapes) {
    flop += FlopOfToken(shape) * static_cast<double>(spec_.n_layers * n_tokens);
  }
  const auto choices = chooser_->Choose(shapes, MeasuringFlop(flop), stop);
  if (stop.stop_requested()) return Stopped();
  if (!choices) return absl::OkStatus();
  LayerMethods methods;
  for (size_t i = 0; i < methods.size(); ++i) methods[i] = (*choices)[i].method;
  INDUCT_RETURN_IF_ERROR(weights_.SetLayerMethods(methods, shapes.front().n_rows, std::move(stop)));
  for (size_t i = 0; i < shapes.size(); ++i) {
    uses_.push_back({.n_rows = shapes[i].n_rows,
                     .n_in = shapes[i].n_in,
                     .n_out = shapes[i].n_out,
                     .choice = (*choices)[i]});
  }
  // One shape tells enough, and does not take long: the last, which no activation follows.
  uses_.back().float32_gflops = FasterInFloat32(shapes.back(), choices->back(), flop);
  return absl::OkStatus();
}

double ModelProducts::FasterInFloat32(LinearShape shape, const LinearChoice& choice, double pass_flop) const {
  if (shape.dtype == at::kFloat) return 0;
  shape.dtype = at::kFloat;
  const auto in_float32 = chooser_->Choose({shape}, MeasuringFlop(pass_flop), {});
  if (!in_float32 || in_float32->front().gflops <= choice.gflops) return 0;
  return in_float32->front().gflops;
}

void ModelProducts::SettleUnembedding(int64_t n_tokens, std::stop_token stop) {
  if (!Chooses() || unembedding_is_settled_) return;
  const LinearShape shape = {.n_rows = LogitsRows(spec_, weights_.device()),
                             .n_in = spec_.d_model,
                             .n_out = spec_.vocab_size,
                             .dtype = weights_.options().dtype().toScalarType()};
  const double flop = FlopOfToken(shape) * static_cast<double>(n_tokens);
  const auto choices = chooser_->Choose({shape}, MeasuringFlop(flop), std::move(stop));
  if (!choices) return;
  weights_.SetUnembeddingMethod(choices->front().method);
  unembedding_is_settled_ = true;
}

std::vector<LinearShape> ModelProducts::LayerShapes() const {
  const bool gated = spec_.layers.front().mlp_gate.has_value();
  const auto shape = [&](int64_t n_in, int64_t n_out) -> LinearShape {
    return {.n_rows = MicroBatchTokens(weights_.device()),
            .n_in = n_in,
            .n_out = n_out,
            .dtype = weights_.options().dtype().toScalarType(),
            .may_pack = !weights_.streams_layers()};
  };
  LinearShape mlp_input = shape(spec_.d_model, (gated ? 2 : 1) * spec_.d_mlp);
  if (!gated) mlp_input.activation = spec_.activation;
  return {shape(spec_.d_model, (spec_.n_heads + 2 * spec_.n_kv_heads) * spec_.d_head),
          shape(spec_.n_heads * spec_.d_head, spec_.d_model), mlp_input, shape(spec_.d_mlp, spec_.d_model)};
}

}  // namespace induct::engine
