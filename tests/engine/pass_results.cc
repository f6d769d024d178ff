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

}  // namespace induct::engine
