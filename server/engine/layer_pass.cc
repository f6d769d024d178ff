#include "server/engine/layer_pass.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/engine/device_wait.h"
#include "server/engine/embed.h"
#include "server/engine/errors.h"

namespace induct::engine {
namespace {

// The sum over the rows of z [S, H * K] at positions >= first_position, [H * K] double on the CPU.
at::Tensor SumOfRows(const at::Tensor& head_outputs, const at::Tensor& positions, int64_t first_position) {
  const at::Tensor kept = positions.ge(first_position).nonzero().squeeze(1);
  return ToHost(head_outputs.index_select(0, kept).sum(0, /*keepdim=*/false, at::kDouble));
}

int64_t PositionsFrom(int64_t first_position, const Wave& wave) {
  int64_t count = 0;
  for (const PackedPrompt& prompt : wave.prompts) {
    count += std::max<int64_t>(0, prompt.length - first_position);
  }
  return count;
}

}  // namespace

LayerPass::LayerPass(const DecoderSpec& spec, const WeightStore& weights, const Pass& pass,
                     std::function<void()> on_halving, std::stop_token stop)
    : spec_(spec),
      weights_(weights),
      pass_(pass),
      stop_(stop),
      n_layers_(pass.n_layers > 0 ? pass.n_layers : spec.n_layers),
      rotary_(spec, LongestPrompt(pass.prompts), weights.device()),
      runner_(pass.batch_size, weights.device(), TokenCount(pass.prompts) * n_layers_, pass.on_progress,
              std::move(on_halving), stop) {}

absl::Status LayerPass::Run() {
  const int64_t max_tokens = pass_.activation_budget / weights_.BytesPerToken();
  int64_t next_prompt = 0;
  while (next_prompt < static_cast<int64_t>(pass_.prompts.size())) {
    const Wave wave = PackWave(pass_.prompts, next_prompt, max_tokens, weights_.device());
    INDUCT_RETURN_IF_ERROR(RunWave(wave));
    next_prompt += static_cast<int64_t>(wave.prompts.size());
  }
  return absl::OkStatus();
}

absl::Status LayerPass::RunWave(const Wave& wave) {
  // Begins to read the first layer, while tokens are embedded.
  LayerQueue layers(
      weights_, n_layers_, [this](int64_t layer) { return PartOf(layer); }, stop_);
  INDUCT_ASSIGN_OR_RETURN(const at::Tensor residual, Embed(wave, weights_, stop_));
  INDUCT_RETURN_IF_ERROR(HandOutResidual(0, wave, residual));
  LayerResults results = {.readout =
                              ReadoutSums(wave.prompts, pass_.n_groups, spec_.n_heads, weights_.device())};
  for (int64_t layer = 0; layer < n_layers_; ++layer) {
    INDUCT_RETURN_IF_ERROR(RunLayer(layer, wave, residual, layers, results));
    INDUCT_RETURN_IF_ERROR(HandOutResults(layer, wave, results));
    INDUCT_RETURN_IF_ERROR(HandOutResidual(layer + 1, wave, residual));
  }
  return absl::OkStatus();
}

absl::Status LayerPass::RunLayer(int64_t layer, const Wave& wave, const at::Tensor& residual,
                                 LayerQueue& layers, LayerResults& results) {
  const Extent extent = ExtentOf(layer);
  INDUCT_ASSIGN_OR_RETURN(LayerWeights weights, layers.Next());
  const DecoderLayer decoder_layer(spec_, rotary_, std::move(weights));
  results.head_outputs.assign(static_cast<size_t>(spec_.n_heads * spec_.d_head), 0.0);
  return runner_.Run(wave, absl::StrCat("layer ", layer), /*work_per_token=*/1, [&](const MicroBatch& batch) {
    RunMicroBatch(decoder_layer, extent, batch, batch.RowsOf(residual), results);
    return absl::OkStatus();
  });
}

void LayerPass::RunMicroBatch(const DecoderLayer& layer, Extent extent, const MicroBatch& batch,
                              const at::Tensor& residual, LayerResults& results) const {
  results.readout.Clear(batch.prompts);
  if (extent == Extent::kProbabilities) return layer.ReadProbabilities(batch, residual, results.readout);

  const at::Tensor head_outputs = layer.HeadOutputs(batch, residual, results.readout);
  at::Tensor summed;
  if (pass_.on_head_outputs) summed = SumOfRows(head_outputs, batch.positions, pass_.first_output_position);
  if (extent == Extent::kWhole) layer.Finish(head_outputs, layer.ParallelMlp(residual), residual);
  // Added only now, when nothing can run out of memory any more: else a batch might count twice.
  if (!summed.defined()) return;
  const double* const sums = summed.const_data_ptr<double>();
  for (size_t i = 0; i < results.head_outputs.size(); ++i) results.head_outputs[i] += sums[i];
}

LayerPass::Extent LayerPass::ExtentOf(int64_t layer) const {
  if (layer < n_layers_ - 1 || pass_.on_residual) return Extent::kWhole;
  return pass_.on_head_outputs ? Extent::kHeadOutputs : Extent::kProbabilities;
}

LayerPart LayerPass::PartOf(int64_t layer) const {
  return ExtentOf(layer) == Extent::kWhole ? LayerPart::kAll : LayerPart::kAttentionInput;
}

absl::Status LayerPass::HandOutResults(int64_t layer, const Wave& wave, const LayerResults& results) const {
  const auto n_prompts = static_cast<int64_t>(wave.prompts.size());
  if (pass_.on_layer) {
    const std::vector<double> sums = results.readout.Values();
    const bool last_wave = wave.first_prompt + n_prompts == static_cast<int64_t>(pass_.prompts.size());
    INDUCT_RETURN_IF_ERROR(pass_.on_layer({.layer = layer,
                                           .first_prompt = wave.first_prompt,
                                           .n_prompts = n_prompts,
                                           .last_wave = last_wave,
                                           .sums = sums}));
  }
  if (!pass_.on_head_outputs) return absl::OkStatus();
  return pass_.on_head_outputs({.layer = layer,
                                .n_positions = PositionsFrom(pass_.first_output_position, wave),
                                .sums = results.head_outputs});
}

absl::Status LayerPass::HandOutResidual(int64_t layer, const Wave& wave, const at::Tensor& residual) const {
  if (!pass_.on_residual) return absl::OkStatus();
  for (const PackedPrompt& prompt : wave.prompts) {
    const at::Tensor rows = ToHost(residual.narrow(0, prompt.first_row, prompt.length));
    const std::span values(rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel()));
    INDUCT_RETURN_IF_ERROR(
        pass_.on_residual({.layer = layer, .prompt = wave.first_prompt + prompt.number, .values = values}));
  }
  return absl::OkStatus();
}

}  // namespace induct::engine
