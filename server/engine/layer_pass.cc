#include "server/engine/layer_pass.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/engine/errors.h"

namespace induct::engine {
namespace {

// Enough rows for matrix products to run at full speed. More only take memory, which the system then hands
// out anew, page by page, for every intermediate result.
constexpr int64_t kMicroBatchTokens = 2048;

int64_t LongestPrompt(const Pass& pass) {
  size_t longest = 0;
  for (const PassPrompt& prompt : pass.prompts) longest = std::max(longest, prompt.tokens.size());
  return static_cast<int64_t>(longest);
}

int64_t TokenCount(const Pass& pass) {
  int64_t count = 0;
  for (const PassPrompt& prompt : pass.prompts) count += static_cast<int64_t>(prompt.tokens.size());
  return count;
}

size_t InitialPromptLimit(const Pass& pass) {
  return pass.batch_size > 0 ? static_cast<size_t>(pass.batch_size) : std::numeric_limits<size_t>::max();
}

}  // namespace

LayerPass::LayerPass(const DecoderSpec& spec, const WeightStore& weights, const Pass& pass,
                     std::stop_token stop)
    : spec_(spec),
      weights_(weights),
      pass_(pass),
      stop_(std::move(stop)),
      rotary_(spec, LongestPrompt(pass), weights.device()),
      prompt_limit_(InitialPromptLimit(pass)),
      total_(TokenCount(pass) * spec.n_layers) {}

absl::Status LayerPass::Run() {
  int64_t next_prompt = 0;
  while (next_prompt < static_cast<int64_t>(pass_.prompts.size())) {
    Wave wave = PackWave(next_prompt);
    INDUCT_RETURN_IF_ERROR(RunWave(wave));
    next_prompt += static_cast<int64_t>(wave.prompts.size());
  }
  return absl::OkStatus();
}

LayerPass::Wave LayerPass::PackWave(int64_t first_prompt) const {
  const auto bytes_per_token =
      static_cast<int64_t>(weights_.token_embedding().element_size()) * spec_.d_model;
  Wave wave{.first_prompt = first_prompt};
  int64_t bytes = 0;
  for (const PassPrompt& prompt : std::span(pass_.prompts).subspan(first_prompt)) {
    const auto length = static_cast<int64_t>(prompt.tokens.size());
    bytes += length * bytes_per_token;
    if (bytes > pass_.activation_budget && !wave.prompts.empty()) break;
    const auto number = static_cast<int64_t>(wave.prompts.size());
    wave.prompts.push_back({.prompt = &prompt, .number = number, .length = length});
  }
  std::stable_sort(wave.prompts.begin(), wave.prompts.end(),
                   [](const PackedPrompt& a, const PackedPrompt& b) { return a.length < b.length; });
  int64_t row = 0;
  for (PackedPrompt& prompt : wave.prompts) {
    prompt.first_row = row;
    row += prompt.length;
  }
  return wave;
}

absl::Status LayerPass::Embed(Wave& wave) const {
  return CatchErrors([&] {
    const at::Tensor ids = at::empty({wave.n_tokens()}, at::kLong);
    const at::Tensor positions = at::empty({wave.n_tokens()}, at::kLong);
    for (const PackedPrompt& prompt : wave.prompts) {
      std::copy(prompt.prompt->tokens.begin(), prompt.prompt->tokens.end(),
                ids.mutable_data_ptr<int64_t>() + prompt.first_row);
      int64_t* const of_prompt = positions.mutable_data_ptr<int64_t>() + prompt.first_row;
      for (int64_t position = 0; position < prompt.length; ++position) of_prompt[position] = position;
    }
    wave.positions = positions.to(weights_.device());
    wave.residual = at::index_select(weights_.token_embedding(), 0, ids.to(weights_.device()));
    return absl::OkStatus();
  });
}

absl::Status LayerPass::RunWave(Wave& wave) {
  const auto n_prompts = static_cast<int64_t>(wave.prompts.size());
  const bool last_wave = wave.first_prompt + n_prompts == static_cast<int64_t>(pass_.prompts.size());
  INDUCT_RETURN_IF_ERROR(Embed(wave));
  INDUCT_RETURN_IF_ERROR(HandOutResidual(0, wave));
  ReadoutSums sums(n_prompts, pass_.n_groups, spec_.n_heads);
  for (int64_t layer = 0; layer < spec_.n_layers; ++layer) {
    INDUCT_RETURN_IF_ERROR(RunLayerOnWave(layer, wave, sums));
    if (pass_.on_layer) {
      INDUCT_RETURN_IF_ERROR(pass_.on_layer({.layer = layer,
                                             .first_prompt = wave.first_prompt,
                                             .n_prompts = n_prompts,
                                             .last_wave = last_wave,
                                             .sums = sums.values()}));
    }
    INDUCT_RETURN_IF_ERROR(HandOutResidual(layer + 1, wave));
  }
  return absl::OkStatus();
}

absl::Status LayerPass::RunLayerOnWave(int64_t layer, const Wave& wave, ReadoutSums& sums) {
  const LayerPart part = NeedsOnlyReadout(layer) ? LayerPart::kQueriesAndKeys : LayerPart::kAll;
  INDUCT_ASSIGN_OR_RETURN(const LayerWeights weights, weights_.Layer(layer, part, stop_));
  for (size_t first = 0; first < wave.prompts.size();) {
    if (stop_.stop_requested()) return Stopped();
    const auto prompts = std::span(wave.prompts).subspan(first, MicroBatchSize(wave, first));
    const int64_t first_row = prompts.front().first_row;
    const int64_t n_rows = prompts.back().first_row + prompts.back().length - first_row;
    const MicroBatch batch = {.prompts = prompts,
                              .residual = wave.residual.narrow(0, first_row, n_rows),
                              .positions = wave.positions.narrow(0, first_row, n_rows)};
    const absl::Status status = RunMicroBatch(layer, weights, batch, sums);
    if (IsOutOfMemory(status) && prompts.size() > 1) {
      prompt_limit_ = prompts.size() / 2;  // also for what follows: it would run out again
      continue;
    }
    INDUCT_RETURN_IF_ERROR(status);
    first += prompts.size();
    AddProgress(batch);
  }
  return absl::OkStatus();
}

absl::Status LayerPass::RunMicroBatch(int64_t layer, const LayerWeights& weights, const MicroBatch& batch,
                                      ReadoutSums& sums) {
  for (const PackedPrompt& prompt : batch.prompts) sums.Clear(prompt.number);
  const absl::Status status = CatchErrors([&] {
    if (NeedsOnlyReadout(layer)) {
      ReadLayer(spec_, weights, rotary_, batch, sums);
    } else {
      RunLayer(spec_, weights, rotary_, batch, sums);
    }
    return absl::OkStatus();
  });
  if (status.ok()) return status;
  return Annotate(status, absl::StrCat("layer ", layer, ", ", batch.prompts.size(), " prompts of up to ",
                                       batch.prompts.back().length, " tokens"));
}

size_t LayerPass::MicroBatchSize(const Wave& wave, size_t first) const {
  const size_t limit = std::min(prompt_limit_, wave.prompts.size() - first);
  if (pass_.batch_size > 0) return limit;
  size_t count = 0;
  int64_t tokens = 0;
  while (count < limit) {
    tokens += wave.prompts[first + count].length;
    if (tokens > kMicroBatchTokens && count > 0) break;
    ++count;
  }
  return count;
}

bool LayerPass::NeedsOnlyReadout(int64_t layer) const {
  return layer == spec_.n_layers - 1 && !pass_.on_residual;
}

absl::Status LayerPass::HandOutResidual(int64_t layer, const Wave& wave) const {
  if (!pass_.on_residual) return absl::OkStatus();
  return CatchErrors([&]() -> absl::Status {
    for (const PackedPrompt& prompt : wave.prompts) {
      const at::Tensor rows =
          wave.residual.narrow(0, prompt.first_row, prompt.length).to(at::kCPU, at::kFloat);
      const std::span values(rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel()));
      INDUCT_RETURN_IF_ERROR(
          pass_.on_residual({.layer = layer, .prompt = wave.first_prompt + prompt.number, .values = values}));
    }
    return absl::OkStatus();
  });
}

void LayerPass::AddProgress(const MicroBatch& batch) {
  done_ += batch.residual.size(0);
  if (pass_.on_progress) pass_.on_progress(static_cast<double>(done_) / static_cast<double>(total_));
}

}  // namespace induct::engine
