#include "server/engine/weight_store.h"

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "common/status.h"
#include "server/engine/device.h"
#include "server/engine/errors.h"
#include "server/engine/validation.h"

namespace induct::engine {
namespace {

// Reads tensors of one source, in turn. May throw what LibTorch throws.
class TensorReader {
 public:
  TensorReader(const TensorSource& source, at::TensorOptions target, std::stop_token stop)
      : source_(source), target_(target), stop_(std::move(stop)) {}

  // The tensor as the checkpoint stores it, on the CPU.
  absl::StatusOr<at::Tensor> Stored(const TensorSpec& spec) const {
    if (stop_.stop_requested()) return Stopped();
    INDUCT_ASSIGN_OR_RETURN(const TensorSource::Info info, source_.Describe(spec.name));
    at::Tensor stored = at::empty(info.shape, ToScalarType(info.dtype));
    const std::span bytes(static_cast<std::byte*>(stored.mutable_data_ptr()), stored.nbytes());
    INDUCT_RETURN_IF_ERROR(source_.Read(spec.name, bytes));
    return stored;
  }

  // On its way to the target it is converted once, and not at all where it is stored as it is needed.
  absl::Status Read(const TensorSpec& spec, at::Tensor& out) const {
    INDUCT_ASSIGN_OR_RETURN(const at::Tensor stored, Stored(spec));
    out = stored.to(target_);
    return absl::OkStatus();
  }

  absl::Status Read(const TensorSpec& weight, const TensorSpec& bias, Norm& out) const {
    INDUCT_RETURN_IF_ERROR(Read(weight, out.weight));
    return Read(bias, out.bias);
  }

  absl::Status Read(const TensorSpec& weight, const TensorSpec& bias, Linear& out) const {
    INDUCT_RETURN_IF_ERROR(Read(weight, out.weight));
    return Read(bias, out.bias);
  }

  // Rows ordered [H, 3, K] come out ordered [3, H, K], converted and reordered in one copy.
  absl::Status ReadPerHead(const TensorSpec& spec, int64_t n_heads, at::Tensor& out) const {
    INDUCT_ASSIGN_OR_RETURN(const at::Tensor stored, Stored(spec));
    const at::Tensor reordered = stored.unflatten(0, {n_heads, 3, -1}).transpose(0, 1);
    out = at::empty(reordered.sizes(), target_).copy_(reordered).view(stored.sizes());
    return absl::OkStatus();
  }

 private:
  const TensorSource& source_;
  const at::TensorOptions target_;
  const std::stop_token stop_;
};

int64_t Bytes(const LayerWeights& layer) {
  int64_t bytes = 0;
  for (const Norm* norm : {&layer.attention_norm, &layer.mlp_norm}) {
    bytes += static_cast<int64_t>(norm->weight.nbytes() + norm->bias.nbytes());
  }
  for (const Linear* linear : {&layer.qkv, &layer.attention_output, &layer.mlp_input, &layer.mlp_output}) {
    bytes += static_cast<int64_t>(linear->weight.nbytes() + linear->bias.nbytes());
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightStore>> WeightStore::Load(const DecoderSpec& spec,
                                                               std::shared_ptr<const TensorSource> source,
                                                               const LoadOptions& options,
                                                               std::stop_token stop) {
  INDUCT_ASSIGN_OR_RETURN(const c10::Device device, FindDevice(options.device));
  INDUCT_RETURN_IF_ERROR(ValidateSpec(spec));
  INDUCT_RETURN_IF_ERROR(ValidateTensors(spec, *source));

  std::unique_ptr<WeightStore> store(new WeightStore(spec, std::move(source)));
  store->target_ = at::TensorOptions().device(device).dtype(ToScalarType(options.dtype));
  INDUCT_RETURN_IF_ERROR(CatchErrors([&] {
    const c10::InferenceMode inference;
    return TensorReader(*store->source_, store->target_, stop)
        .Read(spec.token_embedding, store->token_embedding_);
  }));
  if (options.stream_layers) return store;
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    INDUCT_ASSIGN_OR_RETURN(store->layers_.emplace_back(), store->ReadLayer(layer, LayerPart::kAll, stop));
  }
  return store;
}

absl::StatusOr<LayerWeights> WeightStore::Layer(int64_t layer, LayerPart part, std::stop_token stop) const {
  if (!layers_.empty()) return layers_[layer];
  return ReadLayer(layer, part, std::move(stop));
}

absl::StatusOr<LayerWeights> WeightStore::ReadLayer(int64_t layer, LayerPart part,
                                                    std::stop_token stop) const {
  const LayerTensors& names = spec_.layers[layer];
  LayerWeights weights;
  INDUCT_RETURN_IF_ERROR(CatchErrors([&]() -> absl::Status {
    const c10::InferenceMode inference;
    const TensorReader reader(*source_, target_, std::move(stop));
    INDUCT_RETURN_IF_ERROR(
        reader.Read(names.attention_norm_weight, names.attention_norm_bias, weights.attention_norm));
    INDUCT_RETURN_IF_ERROR(reader.ReadPerHead(names.qkv_weight, spec_.n_heads, weights.qkv.weight));
    INDUCT_RETURN_IF_ERROR(reader.ReadPerHead(names.qkv_bias, spec_.n_heads, weights.qkv.bias));
    if (part == LayerPart::kQueriesAndKeys) return absl::OkStatus();
    INDUCT_RETURN_IF_ERROR(
        reader.Read(names.attention_output_weight, names.attention_output_bias, weights.attention_output));
    INDUCT_RETURN_IF_ERROR(reader.Read(names.mlp_norm_weight, names.mlp_norm_bias, weights.mlp_norm));
    INDUCT_RETURN_IF_ERROR(reader.Read(names.mlp_input_weight, names.mlp_input_bias, weights.mlp_input));
    return reader.Read(names.mlp_output_weight, names.mlp_output_bias, weights.mlp_output);
  }));
  return weights;
}

int64_t WeightStore::resident_bytes() const {
  auto bytes = static_cast<int64_t>(token_embedding_.nbytes());
  for (const LayerWeights& layer : layers_) bytes += Bytes(layer);
  return bytes;
}

}  // namespace induct::engine
