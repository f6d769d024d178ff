#include "tests/engine/pass_results.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace induct::engine {

absl::StatusOr<std::vector<double>> CollectSums(Model& model, Pass pass, std::stop_token stop) {
  const auto n_prompts = static_cast<int64_t>(pass.prompts.size());
  const int64_t per_prompt = pass.n_groups * model.spec().n_heads;
  std::vector<double> sums(static_cast<size_t>(model.spec().n_layers * n_prompts * per_prompt));
  std::vector<int> seen(static_cast<size_t>(model.spec().n_layers * n_prompts));
  pass.on_layer = [&](const LayerReadout& readout) {
    const int64_t first = readout.layer * n_prompts + readout.first_prompt;
    EXPECT_EQ(readout.sums.size(), static_cast<size_t>(readout.n_prompts * per_prompt));
    EXPECT_EQ(readout.last_wave, readout.first_prompt + readout.n_prompts == n_prompts);
    std::copy(readout.sums.begin(), readout.sums.end(), sums.begin() + first * per_prompt);
    for (int64_t i = 0; i < readout.n_prompts; ++i) ++seen[static_cast<size_t>(first + i)];
    return absl::OkStatus();
  };
  if (absl::Status status = model.Run(pass, std::move(stop)); !status.ok()) return status;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(seen.size()));
  return sums;
}

absl::StatusOr<ResidualStreams> CollectResiduals(Model& model, Pass pass) {
  ResidualStreams streams;
  pass.on_residual = [&](const ResidualStream& stream) {
    const bool is_new =
        streams.try_emplace({stream.layer, stream.prompt}, stream.values.begin(), stream.values.end()).second;
    EXPECT_TRUE(is_new) << "layer " << stream.layer << ", prompt " << stream.prompt;
    return absl::OkStatus();
  };
  if (absl::Status status = model.Run(pass, {}); !status.ok()) return status;
  return streams;
}

absl::StatusOr<HeadOutputTotals> CollectHeadOutputs(Model& model, Pass pass) {
  const auto n_layers = static_cast<size_t>(pass.n_layers > 0 ? pass.n_layers : model.spec().n_layers);
  const auto per_layer = static_cast<size_t>(model.spec().n_heads * model.spec().d_head);
  HeadOutputTotals totals = {.sums = std::vector<double>(n_layers * per_layer, 0.0),
                             .n_positions = std::vector<int64_t>(n_layers, 0)};
  pass.on_head_outputs = [&](const HeadOutputs& outputs) {
    EXPECT_EQ(outputs.sums.size(), per_layer);
    for (size_t i = 0; i < per_layer; ++i) totals.sums[outputs.layer * per_layer + i] += outputs.sums[i];
    totals.n_positions[outputs.layer] += outputs.n_positions;
    return absl::OkStatus();
  };
  if (absl::Status status = model.Run(pass, {}); !status.ok()) return status;
  return totals;
}

absl::StatusOr<Predictions> CollectPredictions(Model& model, AblationPass pass, std::stop_token stop) {
  Predictions predictions;
  pass.on_predictions = [&](const PromptPredictions& given) {
    const bool is_new =
        predictions.try_emplace({given.variant, given.prompt}, given.values.begin(), given.values.end())
            .second;
    EXPECT_TRUE(is_new) << "variant " << given.variant << ", prompt " << given.prompt;
    return absl::OkStatus();
  };
  if (absl::Status status = model.RunVariants(pass, std::move(stop)); !status.ok()) return status;
  EXPECT_EQ(predictions.size(), pass.variants.size() * pass.prompts.size());
  return predictions;
}

}  // namespace induct::engine
