#include "server/engine/decoder_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>

#include "server/engine/attention.h"
#include "server/engine/linear.h"

namespace induct::engine {
namespace {

// Statistics are float32 in any dtype, as LibTorch's kernels keep them.
at::Tensor ApplyNorm(const Norm& norm, const at::Tensor& input, double epsilon) {
  return at::layer_norm(input, {input.size(-1)}, norm.weight, norm.bias, epsilon);
}

// The first n_rows outputs of a linear layer, as a layer of its own; no copy.
Linear FirstOutputs(const Linear& linear, int64_t n_rows) {
  return {.weight = linear.weight.narrow(0, 0, n_rows), .bias = linear.bias.narrow(0, 0, n_rows)};
}

// projected: [S, n * D], of which the parts are queries, keys and, where n is 3, values.
AttentionInput SplitHeads(const DecoderSpec& spec, const RotaryTable& rotary, const MicroBatch& batch,
                          const at::Tensor& projected) {
  const at::Tensor heads = projected.unflatten(1, {-1, spec.d_head});  // [S, n * H, K]
  rotary.Apply(heads.narrow(1, 0, 2 * spec.n_heads), batch.positions);
  const bool has_values = heads.size(1) == 3 * spec.n_heads;
  return {.queries = heads.narrow(1, 0, spec.n_heads),
          .keys = heads.narrow(1, spec.n_heads, spec.n_heads),
          .values = has_values ? heads.narrow(1, 2 * spec.n_heads, spec.n_heads) : at::Tensor()};
}

at::Tensor Mlp(const DecoderSpec& spec, const LayerWeights& weights, const at::Tensor& input) {
  const at::Tensor normed = ApplyNorm(weights.mlp_norm, input, spec.norm_epsilon);
  return ApplyLinear(weights.mlp_output, ApplyLinear(weights.mlp_input, normed, spec.activation));
}

}  // namespace

void RunLayer(const DecoderSpec& spec, const LayerWeights& weights, const RotaryTable& rotary,
              const MicroBatch& batch, ReadoutSums& sums) {
  at::Tensor residual = batch.residual;
  const at::Tensor normed = ApplyNorm(weights.attention_norm, residual, spec.norm_epsilon);
  const AttentionInput input = SplitHeads(spec, rotary, batch, ApplyLinear(weights.qkv, normed));
  const at::Tensor attended = ApplyLinear(weights.attention_output, Attend(input, batch.prompts, sums));
  const at::Tensor mlp = Mlp(spec, weights, spec.parallel_residual ? residual : residual + attended);
  residual.add_(attended).add_(mlp);
}

void ReadLayer(const DecoderSpec& spec, const LayerWeights& weights, const RotaryTable& rotary,
               const MicroBatch& batch, ReadoutSums& sums) {
  const at::Tensor normed = ApplyNorm(weights.attention_norm, batch.residual, spec.norm_epsilon);
  const Linear queries_and_keys = FirstOutputs(weights.qkv, 2 * spec.d_model);
  Attend(SplitHeads(spec, rotary, batch, ApplyLinear(queries_and_keys, normed)), batch.prompts, sums);
}

}  // namespace induct::engine
