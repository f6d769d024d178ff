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

int64_t Bytes(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0;
}

int64_t Bytes(const Norm& norm) { return Bytes(norm.weight) + Bytes(norm.bias); }

int64_t Bytes(const Linear& linear) { return Bytes(linear.weight) + Bytes(linear.bias); }

int64_t Bytes(const LayerWeights& layer) {
  return Bytes(layer.attention_norm) + Bytes(layer.qkv) + Bytes(layer.attention_output) +
         Bytes(layer.mlp_norm) + Bytes(layer.mlp_input) + Bytes(layer.mlp_output);
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
  if (!streams_layers()) return layers_[layer];
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
    if (part == LayerPart::kAttentionInput) return absl::OkStatus();
    INDUCT_RETURN_IF_ERROR(
        reader.Read(names.attention_output_weight, names.attention_output_bias, weights.attention_output));
    INDUCT_RETURN_IF_ERROR(reader.Read(names.mlp_norm_weight, names.mlp_norm_bias, weights.mlp_norm));
    INDUCT_RETURN_IF_ERROR(reader.Read(names.mlp_input_weight, names.mlp_input_bias, weights.mlp_input));
    return reader.Read(names.mlp_output_weight, names.mlp_output_bias, weights.mlp_output);
  }));
  return weights;
}

absl::StatusOr<OutputWeights> WeightStore::Output(std::stop_token stop) const {
  {
    const absl::MutexLock lock(&output_mutex_);
    if (output_) return *output_;
  }
  // Read without the lock: resident_bytes should not wait for a disk.
  INDUCT_ASSIGN_OR_RETURN(const OutputWeights output, ReadOutput(std::move(stop)));
  if (!streams_layers()) {
    const absl::MutexLock lock(&output_mutex_);
    output_ = output;
  }
  return output;
}

absl::StatusOr<OutputWeights> WeightStore::ReadOutput(std::stop_token stop) const {
  OutputWeights output;
  INDUCT_RETURN_IF_ERROR(CatchErrors([&]() -> absl::Status {
    const c10::InferenceMode inference;
    const TensorReader reader(*source_, target_, std::move(stop));
    INDUCT_RETURN_IF_ERROR(reader.Read(spec_.final_norm_weight, spec_.final_norm_bias, output.final_norm));
    if (spec_.unembedding.name == spec_.token_embedding.name) {
      output.unembedding.weight = token_embedding_;
      return absl::OkStatus();
    }
    return reader.Read(spec_.unembedding, output.unembedding.weight);
  }));
  return output;
}

int64_t WeightStore::resident_bytes() const {
  int64_t bytes = Bytes(token_embedding_);
  for (const LayerWeights& layer : layers_) bytes += Bytes(layer);
  const absl::MutexLock lock(&output_mutex_);
  if (!output_) return bytes;
  const bool is_tied = output_->unembedding.weight.is_same(token_embedding_);
  return bytes + Bytes(output_->final_norm) + (is_tied ? 0 : Bytes(output_->unembedding));
}

int64_t WeightStore::BytesPerToken() const {
  return static_cast<int64_t>(token_embedding_.element_size()) * spec_.d_model;
}

}  // namespace induct::engine
