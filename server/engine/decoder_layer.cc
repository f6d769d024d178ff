#include "server/engine/decoder_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include "server/engine/fused_kernels.h"
#include "server/engine/linear.h"
#include "server/engine/norm.h"

namespace induct::engine {
namespace {

// What can be added to a float32 stream in place without taking memory: on a CPU only float32 can.
at::Tensor Addend(const at::Tensor& output) { return output.is_cpu() ? output.to(at::kFloat) : output; }

}  // namespace

void DecoderLayer::ReadProbabilities(const MicroBatch& batch, const at::Tensor& residual,
                                     ReadoutSums& sums) const {
  const at::Tensor normed = ApplyNorm(weights_.attention_norm, spec_, residual, dtype());
  const int64_t n_outputs = (spec_.n_heads + spec_.n_kv_heads) * spec_.d_head;
  Attend(SplitHeads(batch, ApplyFirstOutputs(weights_.qkv, n_outputs, normed)), batch.prompts, sums);
}

at::Tensor DecoderLayer::HeadOutputs(const MicroBatch& batch, const at::Tensor& residual,
                                     ReadoutSums& sums) const {
  const at::Tensor normed = ApplyNorm(weights_.attention_norm, spec_, residual, dtype());
  return Attend(SplitHeads(batch, ApplyLinear(weights_.qkv, normed)), batch.prompts, sums);
}

at::Tensor DecoderLayer::ParallelMlp(const at::Tensor& residual) const {
  return spec_.parallel_residual ? Mlp(residual) : at::Tensor();
}

void DecoderLayer::Finish(const at::Tensor& head_outputs, const at::Tensor& parallel_mlp,
                          at::Tensor residual) const {
  const at::Tensor attended = Addend(ApplyLinear(weights_.attention_output, head_outputs));
  const at::Tensor mlp = parallel_mlp.defined() ? parallel_mlp : Mlp(residual + attended);
  if (HasFusedKernels(residual)) return FusedAdd(residual, attended, mlp);
  residual.add_(attended).add_(mlp);
}

AttentionInput DecoderLayer::SplitHeads(const MicroBatch& batch, const at::Tensor& projected) const {
  const int64_t n_queries = spec_.n_heads, n_keys = spec_.n_kv_heads;
  const at::Tensor heads = projected.unflatten(1, {-1, spec_.d_head});
  const at::Tensor queries = heads.narrow(1, 0, n_queries), keys = heads.narrow(1, n_queries, n_keys);
  if (weights_.query_norm.weight.defined()) {
    queries.copy_(ApplyNorm(weights_.query_norm, spec_, queries, dtype()));
    keys.copy_(ApplyNorm(weights_.key_norm, spec_, keys, dtype()));
  }
  rotary_.Apply(heads.narrow(1, 0, n_queries + n_keys), batch.positions);
  const bool has_values = heads.size(1) > n_queries + n_keys;
  return {.queries = queries,
          .keys = keys,
          .values = has_values ? heads.narrow(1, n_queries + n_keys, n_keys) : at::Tensor()};
}

at::Tensor DecoderLayer::Mlp(const at::Tensor& input) const {
  const at::Tensor normed = ApplyNorm(weights_.mlp_norm, spec_, input, dtype());
  return Addend(ApplyLinear(weights_.mlp_output, MlpHidden(normed)));
}

at::Tensor DecoderLayer::MlpHidden(const at::Tensor& normed) const {
  const bool gated = weights_.mlp_input.weight.size(0) > spec_.d_mlp;
  if (!gated) return ApplyLinear(weights_.mlp_input, normed, spec_.activation);
  const at::Tensor projected = ApplyLinear(weights_.mlp_input, normed);  // [S, 2 F]
  const at::Tensor hidden = at::empty({projected.size(0), spec_.d_mlp}, projected.options());
  Activate(spec_.activation, projected.narrow(1, 0, spec_.d_mlp), hidden);
  return hidden.mul_(projected.narrow(1, spec_.d_mlp, spec_.d_mlp));
}

}  // namespace induct::engine
