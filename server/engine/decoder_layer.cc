#include "server/engine/decoder_layer.h"

#include <ATen/TensorOperators.h>

#include "server/engine/linear.h"
#include "server/engine/norm.h"

namespace induct::engine {
namespace {

// The first n_rows outputs of a linear layer, as a layer of its own; no copy.
Linear FirstOutputs(const Linear& linear, int64_t n_rows) {
  return {.weight = linear.weight.narrow(0, 0, n_rows), .bias = linear.bias.narrow(0, 0, n_rows)};
}

}  // namespace

void DecoderLayer::ReadProbabilities(const MicroBatch& batch, const at::Tensor& residual,
                                     ReadoutSums& sums) const {
  const at::Tensor normed = ApplyNorm(weights_.attention_norm, residual, spec_.norm_epsilon);
  const Linear queries_and_keys = FirstOutputs(weights_.qkv, 2 * spec_.d_model);
  Attend(SplitHeads(batch, ApplyLinear(queries_and_keys, normed)), batch.prompts, sums);
}

at::Tensor DecoderLayer::HeadOutputs(const MicroBatch& batch, const at::Tensor& residual,
                                     ReadoutSums& sums) const {
  const at::Tensor normed = ApplyNorm(weights_.attention_norm, residual, spec_.norm_epsilon);
  return Attend(SplitHeads(batch, ApplyLinear(weights_.qkv, normed)), batch.prompts, sums);
}

at::Tensor DecoderLayer::ParallelMlp(const at::Tensor& residual) const {
  return spec_.parallel_residual ? Mlp(residual) : at::Tensor();
}

void DecoderLayer::Finish(const at::Tensor& head_outputs, const at::Tensor& parallel_mlp,
                          at::Tensor residual) const {
  const at::Tensor attended = ApplyLinear(weights_.attention_output, head_outputs);
  const at::Tensor mlp = parallel_mlp.defined() ? parallel_mlp : Mlp(residual + attended);
  residual.add_(attended).add_(mlp);
}

AttentionInput DecoderLayer::SplitHeads(const MicroBatch& batch, const at::Tensor& projected) const {
  const at::Tensor heads = projected.unflatten(1, {-1, spec_.d_head});  // [S, n * H, K]
  rotary_.Apply(heads.narrow(1, 0, 2 * spec_.n_heads), batch.positions);
  const bool has_values = heads.size(1) == 3 * spec_.n_heads;
  return {.queries = heads.narrow(1, 0, spec_.n_heads),
          .keys = heads.narrow(1, spec_.n_heads, spec_.n_heads),
          .values = has_values ? heads.narrow(1, 2 * spec_.n_heads, spec_.n_heads) : at::Tensor()};
}

at::Tensor DecoderLayer::Mlp(const at::Tensor& input) const {
  const at::Tensor normed = ApplyNorm(weights_.mlp_norm, input, spec_.norm_epsilon);
  return ApplyLinear(weights_.mlp_output, ApplyLinear(weights_.mlp_input, normed, spec_.activation));
}

}  // namespace induct::engine
