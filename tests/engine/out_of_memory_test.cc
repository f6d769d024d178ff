// What happens when a micro-batch does not fit, with an allocator that refuses large blocks.
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "server/engine/errors.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

// Stands in for LibTorch's CPU allocator while it lives. Its error is worded like the real one's, which
// errors_test provokes.
class LimitedMemory : public c10::Allocator {
 public:
  explicit LimitedMemory(size_t largest_block)
      : largest_block_(largest_block), inner_(c10::GetCPUAllocator()) {
    c10::SetCPUAllocator(this);
  }
  ~LimitedMemory() override { c10::SetCPUAllocator(inner_); }

  c10::DataPtr allocate(size_t bytes) override {
    TORCH_CHECK(bytes <= largest_block_, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ",
                bytes, " bytes.");
    return inner_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    inner_->copy_data(to, from, bytes);
  }

 private:
  const size_t largest_block_;
  c10::Allocator* const inner_;
};

class OutOfMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (TestDevice() != "cpu") GTEST_SKIP() << "the allocator stands in for the CPU's";
  }

  // A micro-batch's largest blocks are its projection [S, 48] and its MLP's [S, 60], float32. There are
  // enough prompts of 64 tokens for them to outgrow the scratch memory of LibTorch's kernels by far.
  static constexpr int kPrompts = 512;
  static constexpr size_t kProjectionBytes = 48 * 4 * 64, kMlpBytes = 60 * 4 * 64;  // a prompt
  static DecoderSpec Sizes() {
    DecoderSpec sizes = SmallSizes();
    sizes.d_mlp = 60;
    return sizes;
  }

  const TestModel test_model_ = RandomModel(Sizes(), 5);
  const std::unique_ptr<Model> model_ = test_model_.Load();
  const TestPrompts prompts_ = RandomPrompts(test_model_.spec, std::vector<int>(kPrompts, 64), 20, 2, 6);
};

TEST_F(OutOfMemoryTest, MicroBatchesAreHalvedUntilTheyFit) {
  const Pass pass = {.prompts = prompts_.View(), .n_groups = 2, .batch_size = kPrompts};
  const absl::StatusOr<std::vector<double>> expected = CollectSums(*model_, pass);
  ASSERT_TRUE(expected.ok());

  int micro_batches = 0;
  Pass counted = pass;
  counted.on_progress = [&](double) { ++micro_batches; };
  // 512 prompts fail at the projection; 256 at the MLP, when their probabilities are already read; 128 fit.
  const LimitedMemory limited(256 * (kProjectionBytes + kMlpBytes) / 2);
  const absl::StatusOr<std::vector<double>> sums = CollectSums(*model_, counted);
  ASSERT_TRUE(sums.ok()) << sums.status();
  EXPECT_EQ(micro_batches, 3 * 4);  // the later layers start with 128
  for (size_t i = 0; i < sums->size(); ++i) EXPECT_NEAR((*sums)[i], (*expected)[i], 1e-5);
}

TEST_F(OutOfMemoryTest, EveryHalvingIsTold) {
  int halvings = 0;
  const std::unique_ptr<Model> model = test_model_.Load({.on_halving = [&] { ++halvings; }});
  const Pass pass = {.prompts = prompts_.View(), .n_groups = 2, .batch_size = kPrompts};
  AblationPass variants = {.prompts = {}, .variants = {{}}, .batch_size = kPrompts};
  for (const std::vector<int32_t>& tokens : prompts_.tokens) variants.prompts.emplace_back(tokens);
  ASSERT_TRUE(CollectSums(*model, pass).ok());
  EXPECT_EQ(halvings, 0);
  const LimitedMemory limited(256 * (kProjectionBytes + kMlpBytes) / 2);
  ASSERT_TRUE(CollectSums(*model, pass).ok());
  EXPECT_EQ(halvings, 2);  // from 512 prompts to 128
  ASSERT_TRUE(CollectPredictions(*model, variants).ok());
  EXPECT_EQ(halvings, 4);
}

TEST_F(OutOfMemoryTest, HeadOutputsOfARepeatedMicroBatchCountOnce) {
  const Pass pass = {.prompts = prompts_.View(), .n_groups = 2, .batch_size = kPrompts};
  const absl::StatusOr<HeadOutputTotals> expected = CollectHeadOutputs(*model_, pass);
  ASSERT_TRUE(expected.ok());
  const LimitedMemory limited(256 * (kProjectionBytes + kMlpBytes) / 2);
  const absl::StatusOr<HeadOutputTotals> totals = CollectHeadOutputs(*model_, pass);
  ASSERT_TRUE(totals.ok()) << totals.status();
  EXPECT_EQ(totals->n_positions, expected->n_positions);
  for (size_t i = 0; i < totals->sums.size(); ++i) {
    EXPECT_NEAR(totals->sums[i], expected->sums[i], 1e-2);  // of 32768 positions
  }
}

TEST_F(OutOfMemoryTest, MicroBatchesOfVariantsAreHalvedUntilTheyFit) {
  for (const bool parallel_residual : {true, false}) {
    DecoderSpec sizes = Sizes();
    sizes.parallel_residual = parallel_residual;
    const std::unique_ptr<Model> model = RandomModel(sizes, 5).Load();
    AblationPass pass = {.prompts = {},
                         .variants = {{}, {{.layer = 0, .head = 1}}, {{.layer = 1, .head = 0}}},
                         .batch_size = kPrompts};
    for (const std::vector<int32_t>& tokens : prompts_.tokens) pass.prompts.emplace_back(tokens);
    const absl::StatusOr<Predictions> expected = CollectPredictions(*model, pass);
    ASSERT_TRUE(expected.ok());

    int micro_batches = 0;
    pass.on_progress = [&](double) { ++micro_batches; };
    const LimitedMemory limited(256 * (kProjectionBytes + kMlpBytes) / 2);
    const absl::StatusOr<Predictions> predictions = CollectPredictions(*model, pass);
    ASSERT_TRUE(predictions.ok()) << predictions.status();
    EXPECT_EQ(micro_batches, (3 + 2 + 1 + 3) * 4);  // layers of each stream and their logits, in four
    for (const auto& [key, values] : *predictions) {
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_NEAR(values[i].nll, expected->at(key)[i].nll, 1e-5) << "variant " << key.first;
      }
    }
  }
}

TEST_F(OutOfMemoryTest, APromptThatDoesNotFitAloneIsResourceExhausted) {
  const std::vector<PassPrompt> prompts = prompts_.View();
  absl::Status status;
  {
    const LimitedMemory limited(kProjectionBytes / 2);
    status = model_->Run({.prompts = {prompts[0]}, .n_groups = 2}, {});
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(ReasonOf(status), reason::kOutOfMemory);
  EXPECT_NE(status.message().find("1 prompts of up to 64 tokens"), std::string::npos) << status;
  EXPECT_TRUE(model_->Run({.prompts = prompts, .n_groups = 2}, {}).ok());  // the model goes on serving
}

TEST_F(OutOfMemoryTest, LoadingWithoutMemoryIsResourceExhausted) {
  const LimitedMemory limited(60 * 16 * 4 - 1);  // one byte less than an MLP's weights
  EXPECT_TRUE(IsOutOfMemory(LoadModel(test_model_.spec, test_model_.source, {}, {}).status()));
}

}  // namespace
}  // namespace induct::engine
