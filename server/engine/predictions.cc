#include "server/engine/predictions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>
#include <vector>

#include "server/engine/device_wait.h"
#include "server/engine/linear.h"
#include "server/engine/norm.h"

namespace induct::engine {
namespace {

// Logits that are held at a time. On a CPU blocks of up to 32 MiB are used again; larger ones would come from
// the system anew each time, page by page.
constexpr int64_t kLogitsCpu = int64_t{6} << 20;
constexpr int64_t kLogits = int64_t{1} << 27;

at::Tensor ToDevice(std::span<int64_t> values, c10::Device device) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kLong).to(device);
}

// input: [R, D] of the residual stream, next_tokens: [R] int64 on the device; out: one a row, rows[i] says
// which.
void Predict(const DecoderSpec& spec, const OutputWeights& weights, const at::Tensor& input,
             const at::Tensor& next_tokens, std::span<const int64_t> rows, std::span<Prediction> out) {
  const at::Tensor normed =
      ApplyNorm(weights.final_norm, spec, input, weights.unembedding.weight.scalar_type());
  const at::Tensor logits = ApplyLinear(weights.unembedding, normed).to(at::kFloat);  // [R, V]
  const at::Tensor of_next = logits.gather(1, next_tokens.unsqueeze(1));              // [R, 1]
  const at::Tensor correct = ToHost(of_next.ge(logits.amax(1, /*keepdim=*/true)));
  const at::Tensor log_likelihood = ToHost(at::log_softmax(logits, 1).gather(1, next_tokens.unsqueeze(1)));
  for (size_t i = 0; i < rows.size(); ++i) {
    out[rows[i]] = {.nll = -log_likelihood.const_data_ptr<float>()[i],
                    .correct = correct.const_data_ptr<bool>()[i]};
  }
}

}  // namespace

int64_t LogitsRows(const DecoderSpec& spec, c10::Device device) {
  return std::max<int64_t>(1, (device.is_cpu() ? kLogitsCpu : kLogits) / spec.vocab_size);
}

void PredictNextTokens(const DecoderSpec& spec, const OutputWeights& weights, const MicroBatch& batch,
                       const at::Tensor& residual, int64_t first_position, std::span<Prediction> out) {
  std::vector<int64_t> rows, next_tokens;
  for (const PackedPrompt& prompt : batch.prompts) {
    for (int64_t position = first_position; position + 1 < prompt.length; ++position) {
      rows.push_back(prompt.first_row - batch.first_row + position);
      next_tokens.push_back(prompt.prompt->tokens[position + 1]);
    }
  }
  const auto at_once = static_cast<size_t>(LogitsRows(spec, residual.device()));
  for (size_t first = 0; first < rows.size(); first += at_once) {
    const size_t count = std::min(at_once, rows.size() - first);
    const std::span chunk = std::span(rows).subspan(first, count);
    const at::Tensor input = residual.index_select(0, ToDevice(chunk, residual.device()));
    Predict(spec, weights, input, ToDevice(std::span(next_tokens).subspan(first, count), residual.device()),
            chunk, out);
  }
}

}  // namespace induct::engine
