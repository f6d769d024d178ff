// What a pass holds: weights, residual streams, and one micro-batch's workspace, as docs/performance.md says.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/counted_memory.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

constexpr int64_t kD = 256, kF = 1024, kVocabulary = 9216, kLength = 64, kMicroBatchTokens = 1024;

DecoderSpec Sizes() {
  DecoderSpec sizes = SmallSizes();
  sizes.n_layers = 4;
  sizes.n_heads = sizes.n_kv_heads = 4;
  sizes.d_head = 64;
  sizes.rotary_dims = 16;
  sizes.d_model = kD;
  sizes.d_mlp = kF;
  sizes.vocab_size = kVocabulary;
  return sizes;
}

class PassMemoryTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (TestDevice() != "cpu") GTEST_SKIP() << "the allocator stands in for the CPU's";
  }

  // [S, 6 D + n F] float32 for the S tokens of a micro-batch: n is 1, or 3 where the MLP is gated. And half a
  // megabyte for what is small.
  static int64_t Workspace(int64_t n_tokens) {
    const int64_t n_hidden = GetParam() ? 3 : 1;
    return 4 * std::min(n_tokens, kMicroBatchTokens) * (6 * kD + n_hidden * kF) + (int64_t{1} << 19);
  }

  struct Held {
    int64_t weights = 0;  // that stay
    int64_t peak = 0;     // of a profile's pass beside its residual streams
  };

  Held Measure(const LoadOptions& options, int n_prompts) const {
    const TestPrompts prompts =
        RandomPrompts(test_model_.spec, std::vector<int>(n_prompts, kLength), 60, 1, 2);
    const CountedMemory memory;
    const std::unique_ptr<Model> model = test_model_.Load(options);
    CountedMemory::ForgetPeak();
    EXPECT_TRUE(CollectSums(*model, {.prompts = prompts.View()}).ok());
    return {.weights = model->resident_bytes(), .peak = CountedMemory::peak() - 4 * n_prompts * kLength * kD};
  }

  const TestModel test_model_ =
      RandomWeightsFor(WithTensorNames(Sizes(), {.gated_mlp = GetParam()}), /*gain=*/1.0f, 1);
};

TEST_P(PassMemoryTest, ResidentWeightsAreHeldOnce) {
  for (const int n_prompts : {1, 32, 96}) {
    const Held held = Measure({}, n_prompts);
    EXPECT_LE(held.peak, held.weights + Workspace(n_prompts * kLength)) << n_prompts;
  }
}

// One prompt: two layers are most of what is held. The embeddings, as large as three, are not.
TEST_P(PassMemoryTest, OfStreamedLayersTwoAreHeld) {
  const Held resident = Measure({}, 1), streamed = Measure({.stream_layers = true}, 1);
  const int64_t layers = resident.weights - streamed.weights - 4 * kVocabulary * kD;
  const int64_t layer = layers / test_model_.spec.n_layers;
  const int64_t block = 4 * kD * kF;  // the largest tensor, on its way
  const int64_t rest = streamed.weights + Workspace(kLength) + block;
  EXPECT_LE(streamed.peak, 2 * layer + rest);
}

INSTANTIATE_TEST_SUITE_P(Mlps, PassMemoryTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Gated" : "Plain"; });

}  // namespace
}  // namespace induct::engine
