#include "server/engine/weight_store.h"

#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "absl/functional/function_ref.h"
#include "common/status.h"
#include "server/engine/device.h"
#include "server/engine/errors.h"
#include "server/engine/validation.h"
#include "server/engine/weight_reader.h"

namespace induct::engine {
namespace {

int64_t Bytes(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0;
}

int64_t Bytes(const Norm& norm) { return Bytes(norm.weight) + Bytes(norm.bias); }

int64_t Bytes(const Linear& linear) { return Bytes(linear.weight) + Bytes(linear.bias); }

// Calls `visit` with every tensor of the layer, undefined ones too.
void ForEachTensor(const LayerWeights& layer, absl::FunctionRef<void(const at::Tensor&)> visit) {
  for (const Norm* norm : {&layer.attention_norm, &layer.query_norm, &layer.key_norm, &layer.mlp_norm}) {
    visit(norm->weight);
    visit(norm->bias);
  }
  for (const auto linear : kLinearsOfLayer) {
    visit((layer.*linear).weight);
    visit((layer.*linear).bias);
  }
}

int64_t Bytes(const LayerWeights& layer) {
  int64_t bytes = 0;
  ForEachTensor(layer, [&](const at::Tensor& tensor) { bytes += Bytes(tensor); });
  return bytes;
}

// The layer with the method; with its weights packed where the method wants that and n_rows says for how many
// rows. Weights that nobody may pack use the product that reads them as they are.
Linear WithMethod(Linear linear, std::optional<LinearMethod> method, std::optional<int64_t> n_rows) {
  linear.method = method;
  if (!method || method->product != LinearProduct::kOneDnnPacked || linear.weight.is_mkldnn()) return linear;
  if (n_rows) {
    linear.weight = PackWeight(linear.weight, *n_rows);
  } else {
    linear.method->product = LinearProduct::kOneDnn;
  }
  return linear;
}

absl::Status ReadIfAny(WeightReader& reader, const std::optional<NormTensors>& tensors, Norm& norm) {
  if (tensors) return reader.Read(*tensors, norm);
  norm = {};
  return absl::OkStatus();
}

}  // namespace

void LayerWeights::UseInCurrentStream() const {
  const c10::Device device = qkv.weight.device();
  if (device.is_cpu()) return;
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  ForEachTensor(*this, [&](const at::Tensor& tensor) {
    if (tensor.defined()) tensor.record_stream(stream);
  });
}

absl::StatusOr<std::unique_ptr<WeightStore>> WeightStore::Load(const DecoderSpec& spec,
                                                               std::shared_ptr<const TensorSource> source,
                                                               const LoadOptions& options,
                                                               std::stop_token stop) {
  INDUCT_ASSIGN_OR_RETURN(const c10::Device device, FindDevice(options.device));
  INDUCT_RETURN_IF_ERROR(ValidateSpec(spec));
  INDUCT_RETURN_IF_ERROR(ValidateTensors(spec, *source));

  std::unique_ptr<WeightStore> store(new WeightStore(spec, std::move(source)));
  store->target_ = at::TensorOptions().device(device).dtype(ToScalarType(options.dtype));
  INDUCT_RETURN_IF_ERROR(store->ReadEmbeddings(options.stream_layers, stop));
  if (options.stream_layers) return store;
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    INDUCT_ASSIGN_OR_RETURN(store->layers_.emplace_back(),
                            store->ReadLayer(layer, LayerPart::kAll, /*spent=*/{}, stop));
    store->layers_bytes_ += Bytes(store->layers_.back());
  }
  return store;
}

absl::StatusOr<LayerWeights> WeightStore::Layer(int64_t layer, LayerPart part, LayerWeights spent,
                                                std::stop_token stop) const {
  if (!streams_layers()) return layers_[layer];
  INDUCT_ASSIGN_OR_RETURN(LayerWeights weights, ReadLayer(layer, part, std::move(spent), std::move(stop)));
  for (size_t i = 0; i < kLinearsOfLayer.size(); ++i)
    (weights.*kLinearsOfLayer[i]).method = layer_methods_[i];
  return weights;
}

absl::Status WeightStore::SetLayerMethods(const LayerMethods& methods, int64_t n_rows, std::stop_token stop) {
  layer_methods_ = methods;
  for (LayerWeights& layer : layers_) {
    if (stop.stop_requested()) return Stopped();
    for (size_t i = 0; i < kLinearsOfLayer.size(); ++i) {
      Linear& linear = layer.*kLinearsOfLayer[i];
      const bool read_in_part = &layer == &layers_.back() && kLinearsOfLayer[i] == &LayerWeights::qkv;
      linear = WithMethod(linear, methods[i], read_in_part ? std::nullopt : std::optional(n_rows));
    }
  }
  int64_t bytes = 0;
  for (const LayerWeights& layer : layers_) bytes += Bytes(layer);
  layers_bytes_ = bytes;
  return absl::OkStatus();
}

absl::Status WeightStore::ReadEmbeddings(bool stream_layers, std::stop_token stop) {
  return CatchErrors([&]() -> absl::Status {
    const c10::InferenceMode inference;
    WeightReader reader(spec_, *source_, target_, std::move(stop));
    if (!stream_layers) INDUCT_RETURN_IF_ERROR(reader.Read(spec_.token_embedding, token_embeddings_));
    if (!spec_.position_embedding) return absl::OkStatus();
    return reader.ReadFloat32(*spec_.position_embedding, position_embeddings_);
  });
}

absl::Status WeightStore::VisitTokenEmbeddings(
    std::stop_token stop, absl::FunctionRef<void(int64_t first, const at::Tensor& rows)> visit) const {
  if (token_embeddings_.defined()) {
    visit(0, token_embeddings_);
    return absl::OkStatus();
  }
  WeightReader reader(spec_, *source_, target_, std::move(stop));
  for (int64_t first = 0; first < spec_.token_embedding.shape[0];) {
    at::Tensor rows;
    INDUCT_RETURN_IF_ERROR(reader.ReadRows(spec_.token_embedding, first, rows));
    visit(first, rows);
    first += rows.size(0);
  }
  return absl::OkStatus();
}

absl::StatusOr<LayerWeights> WeightStore::ReadLayer(int64_t layer, LayerPart part, LayerWeights spent,
                                                    std::stop_token stop) const {
  const LayerTensors& tensors = spec_.layers[layer];
  LayerWeights weights = std::move(spent);
  INDUCT_RETURN_IF_ERROR(CatchErrors([&]() -> absl::Status {
    const c10::InferenceMode inference;
    WeightReader reader(spec_, *source_, target_, std::move(stop));
    INDUCT_RETURN_IF_ERROR(reader.Read(tensors.attention_norm, weights.attention_norm));
    INDUCT_RETURN_IF_ERROR(reader.ReadQkv(tensors, weights.qkv));
    INDUCT_RETURN_IF_ERROR(ReadIfAny(reader, tensors.query_norm, weights.query_norm));
    INDUCT_RETURN_IF_ERROR(ReadIfAny(reader, tensors.key_norm, weights.key_norm));
    if (part == LayerPart::kAll) return ReadRest(reader, tensors, weights);
    weights.attention_output = weights.mlp_input = weights.mlp_output = {};
    weights.mlp_norm = {};
    return absl::OkStatus();
  }));
  return weights;
}

absl::Status WeightStore::ReadRest(WeightReader& reader, const LayerTensors& tensors, LayerWeights& weights) {
  INDUCT_RETURN_IF_ERROR(reader.Read(tensors.attention_output, weights.attention_output));
  INDUCT_RETURN_IF_ERROR(reader.Read(tensors.mlp_norm, weights.mlp_norm));
  std::vector<const LinearTensors*> mlp_input;
  if (tensors.mlp_gate) mlp_input.push_back(&*tensors.mlp_gate);
  mlp_input.push_back(&tensors.mlp_input);
  INDUCT_RETURN_IF_ERROR(reader.ReadStacked(mlp_input, weights.mlp_input));
  return reader.Read(tensors.mlp_output, weights.mlp_output);
}

absl::StatusOr<OutputWeights> WeightStore::Output(std::stop_token stop) const {
  {
    const absl::MutexLock lock(&output_mutex_);
    if (output_) return *output_;
  }
  // Read without the lock: resident_bytes should not wait for a disk.
  INDUCT_ASSIGN_OR_RETURN(OutputWeights output, ReadOutput(std::move(stop)));
  const absl::MutexLock lock(&output_mutex_);
  output.unembedding.method = unembedding_method_;
  if (!streams_layers()) output_ = output;
  return output;
}

void WeightStore::SetUnembeddingMethod(LinearMethod method) {
  const absl::MutexLock lock(&output_mutex_);
  unembedding_method_ = method;
  if (output_) output_->unembedding.method = method;
}

absl::StatusOr<OutputWeights> WeightStore::ReadOutput(std::stop_token stop) const {
  OutputWeights output;
  INDUCT_RETURN_IF_ERROR(CatchErrors([&]() -> absl::Status {
    const c10::InferenceMode inference;
    WeightReader reader(spec_, *source_, target_, std::move(stop));
    INDUCT_RETURN_IF_ERROR(reader.Read(spec_.final_norm, output.final_norm));
    if (token_embeddings_.defined() && spec_.unembedding.name == spec_.token_embedding.name) {
      output.unembedding.weight = token_embeddings_;
      return absl::OkStatus();
    }
    return reader.Read(spec_.unembedding, output.unembedding.weight);
  }));
  return output;
}

int64_t WeightStore::resident_bytes() const {
  const int64_t bytes = Bytes(token_embeddings_) + Bytes(position_embeddings_) + layers_bytes_;
  const absl::MutexLock lock(&output_mutex_);
  if (!output_) return bytes;
  const bool is_tied = output_->unembedding.weight.is_same(token_embeddings_);
  return bytes + Bytes(output_->final_norm) + (is_tied ? 0 : Bytes(output_->unembedding));
}

int64_t WeightStore::BytesPerToken() const { return static_cast<int64_t>(sizeof(float)) * spec_.d_model; }

}  // namespace induct::engine
