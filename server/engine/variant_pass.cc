#include "server/engine/variant_pass.h"

#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/engine/embed.h"
#include "server/engine/errors.h"
#include "server/engine/predictions.h"

namespace induct::engine {

VariantPass::VariantPass(const DecoderSpec& spec, const WeightStore& weights, const AblationPass& pass,
                         std::function<void()> on_halving, std::stop_token stop)
    : spec_(spec),
      weights_(weights),
      pass_(pass),
      stop_(stop),
      prompts_(WithoutTargets(pass)),
      ablated_(AblatedVariants(spec, pass)),
      unablated_(UnablatedVariants(pass)),
      unablated_layers_(UnablatedLayers()),
      rotary_(spec, LongestPrompt(prompts_), weights.device()),
      replacement_(spec, pass.replacement, pass.first_position, weights.options()),
      runner_(pass.batch_size, weights.device(), TotalWork(), pass.on_progress, std::move(on_halving), stop) {
}

std::vector<PassPrompt> VariantPass::WithoutTargets(const AblationPass& pass) {
  std::vector<PassPrompt> prompts;
  for (const std::span<const int32_t> tokens : pass.prompts)
    prompts.push_back({.tokens = tokens, .targets = {}});
  return prompts;
}

std::vector<VariantPass::Ablated> VariantPass::AblatedVariants(const DecoderSpec& spec,
                                                               const AblationPass& pass) {
  std::vector<Ablated> variants;
  for (size_t number = 0; number < pass.variants.size(); ++number) {
    if (pass.variants[number].empty()) continue;
    Ablated& variant = variants.emplace_back();
    variant.variant = static_cast<int64_t>(number);
    variant.heads.resize(static_cast<size_t>(spec.n_layers));
    variant.first_layer = spec.n_layers;
    for (const Head& head : pass.variants[number]) {
      variant.heads[head.layer].push_back(head.head);
      variant.first_layer = std::min<int64_t>(variant.first_layer, head.layer);
    }
  }
  return variants;
}

std::vector<int64_t> VariantPass::UnablatedVariants(const AblationPass& pass) {
  std::vector<int64_t> numbers;
  for (size_t number = 0; number < pass.variants.size(); ++number) {
    if (pass.variants[number].empty()) numbers.push_back(static_cast<int64_t>(number));
  }
  return numbers;
}

int64_t VariantPass::UnablatedLayers() const {
  if (!unablated_.empty()) return spec_.n_layers;
  int64_t layers = 0;
  for (const Ablated& ablated : ablated_) layers = std::max(layers, ablated.first_layer + 1);
  return layers;
}

// Work is counted in multiplications of linear layers for one token.
int64_t VariantPass::LayerWork() const {
  const int64_t attention_rows = 2 * (spec_.n_heads + spec_.n_kv_heads) * spec_.d_head;
  const int64_t mlp_rows = (spec_.layers.front().mlp_gate ? 3 : 2) * spec_.d_mlp;
  return spec_.d_model * (attention_rows + mlp_rows);
}

int64_t VariantPass::LogitsWork() const { return spec_.d_model * spec_.vocab_size; }

int64_t VariantPass::TotalWork() const {
  const auto n_streams = static_cast<int64_t>(ablated_.size() + (unablated_.empty() ? 0 : 1));
  int64_t n_layers = unablated_layers_;
  for (const Ablated& ablated : ablated_) n_layers += spec_.n_layers - ablated.first_layer;
  return TokenCount(prompts_) * (n_layers * LayerWork() + n_streams * LogitsWork());
}

absl::Status VariantPass::Run() {
  const auto n_streams = static_cast<int64_t>(1 + ablated_.size());
  const int64_t max_tokens = pass_.activation_budget / (weights_.BytesPerToken() * n_streams);
  int64_t next_prompt = 0;
  while (next_prompt < static_cast<int64_t>(prompts_.size())) {
    const Wave wave = PackWave(prompts_, next_prompt, max_tokens, weights_.device());
    INDUCT_RETURN_IF_ERROR(RunWave(wave));
    next_prompt += static_cast<int64_t>(wave.prompts.size());
  }
  return absl::OkStatus();
}

absl::Status VariantPass::RunWave(const Wave& wave) {
  // Begins to read the first layer, while tokens are embedded.
  LayerQueue layers(
      weights_, spec_.n_layers, [](int64_t) { return LayerPart::kAll; }, stop_);
  INDUCT_ASSIGN_OR_RETURN(at::Tensor embedded, Embed(wave, weights_, stop_));
  Streams streams = {.unablated = std::move(embedded), .ablated = std::vector<at::Tensor>(ablated_.size())};
  for (int64_t layer = 0; layer < spec_.n_layers; ++layer) {
    INDUCT_RETURN_IF_ERROR(RunLayer(layer, wave, layers, streams));
  }
  return HandOutPredictions(wave, streams);
}

absl::Status VariantPass::RunLayer(int64_t layer, const Wave& wave, LayerQueue& layers, Streams& streams) {
  INDUCT_ASSIGN_OR_RETURN(LayerWeights weights, layers.Next());
  const DecoderLayer decoder_layer(spec_, rotary_, std::move(weights));
  for (size_t i = 0; i < ablated_.size(); ++i) {
    if (ablated_[i].first_layer >= layer) continue;
    INDUCT_RETURN_IF_ERROR(RunAblated(decoder_layer, layer, wave, ablated_[i], streams.ablated[i]));
  }
  if (layer >= unablated_layers_) return absl::OkStatus();
  return RunUnablated(decoder_layer, layer, wave, streams);
}

absl::Status VariantPass::RunUnablated(const DecoderLayer& decoder_layer, int64_t layer, const Wave& wave,
                                       Streams& streams) {
  std::vector<size_t> beginning;
  for (size_t i = 0; i < ablated_.size(); ++i) {
    if (ablated_[i].first_layer != layer) continue;
    beginning.push_back(i);
    streams.ablated[i] = at::empty_like(streams.unablated);
  }
  const bool goes_on = layer + 1 < unablated_layers_ || !unablated_.empty();
  const auto n_streams = static_cast<int64_t>(1 + beginning.size());
  INDUCT_RETURN_IF_ERROR(
      runner_.Run(wave, absl::StrCat("layer ", layer), n_streams * LayerWork(), [&](const MicroBatch& batch) {
        const at::Tensor residual = batch.RowsOf(streams.unablated);
        const at::Tensor z = decoder_layer.HeadOutputs(batch, residual, no_readout_);
        const at::Tensor mlp = decoder_layer.ParallelMlp(residual);
        for (const size_t i : beginning) {
          if (stop_.stop_requested()) return Stopped();
          at::Tensor replaced = z.clone();
          replacement_.Apply(layer, ablated_[i].heads[layer], batch.positions, replaced);
          decoder_layer.Finish(replaced, mlp, batch.RowsOf(streams.ablated[i]).copy_(residual));
        }
        if (goes_on) decoder_layer.Finish(z, mlp, residual);
        return absl::OkStatus();
      }));
  if (!goes_on) streams.unablated.reset();
  return absl::OkStatus();
}

absl::Status VariantPass::RunAblated(const DecoderLayer& decoder_layer, int64_t layer, const Wave& wave,
                                     const Ablated& ablated, const at::Tensor& stream) {
  return runner_.Run(wave, absl::StrCat("layer ", layer), LayerWork(), [&](const MicroBatch& batch) {
    const at::Tensor residual = batch.RowsOf(stream);
    at::Tensor z = decoder_layer.HeadOutputs(batch, residual, no_readout_);
    replacement_.Apply(layer, ablated.heads[layer], batch.positions, z);
    decoder_layer.Finish(z, decoder_layer.ParallelMlp(residual), residual);
    return absl::OkStatus();
  });
}

absl::Status VariantPass::HandOutPredictions(const Wave& wave, const Streams& streams) {
  INDUCT_ASSIGN_OR_RETURN(const OutputWeights weights, weights_.Output(stop_));
  if (!unablated_.empty()) {
    INDUCT_ASSIGN_OR_RETURN(const std::vector<Prediction> predictions,
                            Predict(wave, weights, streams.unablated));
    for (const int64_t variant : unablated_) INDUCT_RETURN_IF_ERROR(HandOut(variant, wave, predictions));
  }
  for (size_t i = 0; i < ablated_.size(); ++i) {
    INDUCT_ASSIGN_OR_RETURN(const std::vector<Prediction> predictions,
                            Predict(wave, weights, streams.ablated[i]));
    INDUCT_RETURN_IF_ERROR(HandOut(ablated_[i].variant, wave, predictions));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Prediction>> VariantPass::Predict(const Wave& wave, const OutputWeights& weights,
                                                             const at::Tensor& stream) {
  std::vector<Prediction> predictions(static_cast<size_t>(wave.n_tokens()));
  INDUCT_RETURN_IF_ERROR(runner_.Run(wave, "logits", LogitsWork(), [&](const MicroBatch& batch) {
    PredictNextTokens(spec_, weights, batch, batch.RowsOf(stream), pass_.first_position,
                      std::span(predictions).subspan(batch.first_row, batch.n_rows));
    return absl::OkStatus();
  }));
  return predictions;
}

absl::Status VariantPass::HandOut(int64_t variant, const Wave& wave,
                                  std::span<const Prediction> predictions) const {
  for (const PackedPrompt& prompt : wave.prompts) {
    const int64_t count = std::max<int64_t>(0, prompt.length - 1 - pass_.first_position);
    const std::span values = count == 0 ? std::span<const Prediction>()
                                        : predictions.subspan(prompt.first_row + pass_.first_position, count);
    INDUCT_RETURN_IF_ERROR(pass_.on_predictions(
        {.variant = variant, .prompt = wave.first_prompt + prompt.number, .values = values}));
  }
  return absl::OkStatus();
}

}  // namespace induct::engine
