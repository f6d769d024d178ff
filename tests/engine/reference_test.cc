// Random models, prompts and weighted targets against the plain-loop reference.
#include <gtest/gtest.h>

#include "tests/engine/pass_results.h"
#include "tests/engine/reference_decoder.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

DecoderSpec RandomSizes(std::mt19937& random) {
  const auto below = [&](uint32_t bound) { return static_cast<int64_t>(random() % bound); };
  DecoderSpec sizes;
  sizes.n_layers = 1 + below(3);
  sizes.n_heads = 1 + below(4);
  sizes.d_head = 2 + below(15);
  sizes.d_model = sizes.n_heads * sizes.d_head;
  sizes.d_mlp = 1 + below(70);
  sizes.vocab_size = 2 + below(40);
  sizes.max_positions = 40;
  sizes.rotary_dims = 2 * below(static_cast<uint32_t>(sizes.d_head / 2 + 1));
  sizes.rotary_base = below(2) == 0 ? 10000 : 100;
  sizes.norm_epsilon = below(2) == 0 ? 1e-5 : 1e-2;
  sizes.parallel_residual = below(2) == 0;
  sizes.activation = below(2) == 0 ? Activation::kGeluExact : Activation::kGeluTanh;
  return sizes;
}

std::vector<double> ExpectedSums(const TestModel& model, const TestPrompts& prompts, int64_t n_groups) {
  const size_t n_heads = static_cast<size_t>(model.spec.n_heads), n_prompts = prompts.tokens.size();
  std::vector<double> sums(static_cast<size_t>(model.spec.n_layers * n_groups) * n_prompts * n_heads, 0.0);
  for (size_t prompt = 0; prompt < n_prompts; ++prompt) {
    const size_t length = prompts.tokens[prompt].size();
    const ReferenceRun run = RunReference(model.spec, model.source->tensors(), prompts.tokens[prompt]);
    for (size_t layer = 0; layer < run.attention.size(); ++layer) {
      for (const ReadoutTarget& target : prompts.targets[prompt]) {
        for (size_t head = 0; head < n_heads; ++head) {
          const double p = run.attention[layer][(head * length + target.query) * length + target.key];
          sums[((layer * n_prompts + prompt) * n_groups + target.group) * n_heads + head] +=
              target.weight * p;
        }
      }
    }
  }
  return sums;
}

// 30 targets are dense for the shorter prompts and sparse for the longer ones, so both attention paths take
// part.
TEST(ReferenceTest, SumsOfRandomModelsAndTargetsEqualThePlainLoops) {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const TestModel test_model = RandomModel(RandomSizes(random), seed);
    const TestPrompts prompts = RandomPrompts(test_model.spec, {1, 40, 9, 40, 2, 33, 9}, 30, 3, seed);
    const std::unique_ptr<Model> model = test_model.Load();
    const absl::StatusOr<std::vector<double>> sums =
        CollectSums(*model, {.prompts = prompts.View(), .n_groups = 3, .batch_size = 4});
    ASSERT_TRUE(sums.ok()) << sums.status();
    const std::vector<double> expected = ExpectedSums(test_model, prompts, 3);
    ASSERT_EQ(sums->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      // float32 over up to three layers, for sums of about 30 weights of up to 2
      ASSERT_NEAR((*sums)[i], expected[i], 2e-4) << "entry " << i;
    }
  }
}

TEST(ReferenceTest, ResidualStreamsOfRandomModelsEqualThePlainLoops) {
  for (uint32_t seed = 100; seed < 110; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const TestModel test_model = RandomModel(RandomSizes(random), seed);
    const TestPrompts prompts = RandomPrompts(test_model.spec, {17, 3, 17}, 0, 1, seed);
    const std::unique_ptr<Model> model = test_model.Load();
    const absl::StatusOr<ResidualStreams> streams = CollectResiduals(*model, {.prompts = prompts.View()});
    ASSERT_TRUE(streams.ok()) << streams.status();
    ASSERT_EQ(streams->size(), 3u * static_cast<size_t>(test_model.spec.n_layers + 1));
    for (const auto& [key, values] : *streams) {
      const auto [layer, prompt] = key;
      const std::vector<double> expected =
          RunReference(test_model.spec, test_model.source->tensors(), prompts.tokens[prompt]).residual[layer];
      ASSERT_EQ(values.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(values[i], expected[i], 1e-4)
            << "layer " << layer << ", prompt " << prompt << ", value " << i;
      }
    }
  }
}

}  // namespace
}  // namespace induct::engine
