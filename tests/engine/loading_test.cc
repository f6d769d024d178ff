#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "common/status.h"
#include "tests/engine/counted_memory.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class LoadingTest : public testing::Test {
 protected:
  TestModel test_model_ = RandomModel(SmallSizes(), 3);

  absl::Status LoadStatus(const LoadOptions& options = {}, std::stop_token stop = {}) const {
    return LoadModel(test_model_.spec, test_model_.source, options, stop).status();
  }

  void ExpectBadCheckpoint(const testing::Matcher<std::string>& message) const {
    for (const bool streamed : {false, true}) {
      const absl::Status status = LoadStatus({.stream_layers = streamed});
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_EQ(ReasonOf(status), reason::kBadCheckpoint);
      EXPECT_THAT(std::string(status.message()), message);
    }
  }
};

TEST_F(LoadingTest, AMissingTensorIsNamedAlsoWhereLayersAreStreamed) {
  test_model_.source->tensors().erase("gpt_neox.layers.2.mlp.dense_4h_to_h.bias");
  ExpectBadCheckpoint(HasSubstr("gpt_neox.layers.2.mlp.dense_4h_to_h.bias"));
}

TEST_F(LoadingTest, ATensorOfAnotherShapeIsNamedWithBothShapes) {
  test_model_.source->tensors().at("gpt_neox.layers.1.attention.dense.weight").shape = {16, 17};
  ExpectBadCheckpoint(AllOf(HasSubstr("gpt_neox.layers.1.attention.dense.weight"), HasSubstr("[16, 17]"),
                            HasSubstr("[16, 16]")));
}

TEST_F(LoadingTest, SizesThatContradictEachOtherAreRefused) {
  const DecoderSpec good = test_model_.spec;
  const std::vector<std::function<void(DecoderSpec&)>> faults = {
      [](DecoderSpec& spec) { spec.n_heads = 0; },
      [](DecoderSpec& spec) { spec.d_head = 0; },
      [](DecoderSpec& spec) { spec.d_model = 0; },
      [](DecoderSpec& spec) { spec.n_kv_heads = 0; },
      [](DecoderSpec& spec) { spec.n_kv_heads = 1; },  // in one tensor with two heads' queries
      [](DecoderSpec& spec) {
        spec.qkv_layout = QkvLayout::kSeparate;
        spec.n_kv_heads = 3;
      },
      [](DecoderSpec& spec) { spec.qkv_layout = QkvLayout::kSeparate; },
      [](DecoderSpec& spec) { spec.layers[1].query_norm = spec.final_norm; },
      [](DecoderSpec& spec) { spec.sliding_window = -1; },
      [](DecoderSpec& spec) { spec.rotary_dims = 3; },
      [](DecoderSpec& spec) { spec.rotary_dims = 10; },
      [](DecoderSpec& spec) { spec.rotary_scaling = Llama3Scaling{.factor = 0}; },
      [](DecoderSpec& spec) { spec.rotary_scaling = Llama3Scaling{.high_frequency_factor = 1}; },
      [](DecoderSpec& spec) { spec.n_layers = 4; },
      [](DecoderSpec& spec) { spec.vocab_size = -1; }};
  for (const auto& fault : faults) {
    test_model_.spec = good;
    fault(test_model_.spec);
    EXPECT_EQ(LoadStatus().code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST_F(LoadingTest, ReadErrorsComeBackAsTheyAre) {
  test_model_.source->before_read = [](const std::string&) { return absl::UnavailableError("gone"); };
  EXPECT_EQ(LoadStatus(), absl::UnavailableError("gone"));
}

TEST_F(LoadingTest, StopEndsLoadingBeforeTheNextTensor) {
  std::stop_source stop;
  test_model_.source->before_read = [&](const std::string& name) {
    if (name.find("layers.1.") != std::string::npos) stop.request_stop();
    return absl::OkStatus();
  };
  EXPECT_EQ(LoadStatus({}, stop.get_token()).code(), absl::StatusCode::kCancelled);
  int reads = 0;
  for (const auto& [name, count] : test_model_.source->reads()) reads += count;
  EXPECT_EQ(reads, 1 + 12 + 1);  // the embedding, layer 0, and the tensor that was being read
}

TEST_F(LoadingTest, AnUnknownDeviceIsRefused) {
  EXPECT_EQ(LoadStatus({.device = "tpu"}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LoadingTest, ResidentBytesCountWhatStaysOnTheDevice) {
  const int64_t embedding = 50 * 16, norms = 4 * 16;
  const int64_t linear = (48 * 16 + 48) + (16 * 16 + 16) + (40 * 16 + 40) + (16 * 40 + 16);
  EXPECT_EQ(test_model_.Load()->resident_bytes(), 4 * (embedding + 3 * (norms + linear)));
  // Norms are float32 in any dtype.
  EXPECT_EQ(test_model_.Load({.dtype = DType::kBFloat16})->resident_bytes(),
            2 * (embedding + 3 * linear) + 4 * 3 * norms);
  EXPECT_EQ(test_model_.Load({.stream_layers = true})->resident_bytes(), 0);
}

TEST_F(LoadingTest, OutputWeightsAreLoadedByTheFirstPassThatReadsLogitsAndThenCounted) {
  const std::vector<int32_t> tokens = {1, 2, 3};
  const AblationPass pass = {.prompts = {tokens}, .variants = {{}}};
  const int64_t norm = 4 * 2 * 16, unembedding = 4 * 50 * 16;
  TestModel tied = RandomModel(SmallSizes(), 3);
  tied.spec.unembedding = tied.spec.token_embedding;
  for (const TestModel* const test_model : {&test_model_, &tied}) {
    const std::unique_ptr<Model> model = test_model->Load();
    const int64_t before = model->resident_bytes();
    ASSERT_TRUE(CollectPredictions(*model, pass).ok());
    EXPECT_EQ(model->resident_bytes() - before, norm + (test_model == &tied ? 0 : unembedding));

    test_model->source->ForgetReads();
    ASSERT_TRUE(CollectPredictions(*model, pass).ok());
    EXPECT_TRUE(test_model->source->reads().empty());
  }
  const std::unique_ptr<Model> streamed = test_model_.Load({.stream_layers = true});
  const int64_t before = streamed->resident_bytes();
  ASSERT_TRUE(CollectPredictions(*streamed, pass).ok());
  EXPECT_EQ(streamed->resident_bytes(), before);
}

std::vector<float> FloatValues(const StoredTensor& tensor) { return tensor.As<float>(); }

// Rounds every tensor to T and stores it as T, and once more as float32.
template <typename T>
void StoreAs(DType dtype, StoredTensors& stored, StoredTensors& same_in_float32) {
  for (auto& [name, tensor] : stored) {
    std::string rounded, widened;
    for (const float value : FloatValues(tensor)) {
      const T short_value(value);
      const float float_value = short_value;
      rounded.append(reinterpret_cast<const char*>(&short_value), sizeof(short_value));
      widened.append(reinterpret_cast<const char*>(&float_value), sizeof(float_value));
    }
    same_in_float32[name] = {.shape = tensor.shape, .bytes = widened};
    tensor.dtype = dtype;
    tensor.bytes = rounded;
  }
}

TEST_F(LoadingTest, SixteenBitCheckpointsRunInFloat32AsTheirValuesSay) {
  const TestPrompts prompts = RandomPrompts(test_model_.spec, {20, 9}, 30, 1, 4);
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    TestModel short_model = RandomModel(SmallSizes(), 3);
    TestModel wide_model = RandomModel(SmallSizes(), 3);
    if (dtype == DType::kFloat16) {
      StoreAs<c10::Half>(dtype, short_model.source->tensors(), wide_model.source->tensors());
    } else {
      StoreAs<c10::BFloat16>(dtype, short_model.source->tensors(), wide_model.source->tensors());
    }
    const auto from_short = CollectSums(*short_model.Load(), {.prompts = prompts.View()});
    const auto from_wide = CollectSums(*wide_model.Load(), {.prompts = prompts.View()});
    ASSERT_TRUE(from_short.ok() && from_wide.ok());
    EXPECT_EQ(*from_short, *from_wide) << DTypeName(dtype);
  }
}

// 25 MB of float32 as embedding and unembedding each, layers of 20 MB, in every layout.
TEST_F(LoadingTest, LoadingHoldsTheModelOnceAndOneBlockAtATime) {
  DecoderSpec sizes = SmallSizes();
  sizes.n_heads = 8;
  sizes.d_head = 64;
  sizes.d_model = 512;
  sizes.d_mlp = 2048;
  sizes.vocab_size = 12000;
  constexpr int64_t kBlock = int64_t{5} << 20;
  for (const bool transposed : {false, true}) {
    for (const QkvLayout layout : {QkvLayout::kFusedByHead, QkvLayout::kSeparate}) {
      sizes.linear_weights_transposed = transposed;
      sizes.qkv_layout = layout;
      const TestModel large =
          RandomWeightsFor(WithTensorNames(sizes, {.gated_mlp = true, .position_embedding = true}), 1, 1);
      for (const DType dtype : {DType::kFloat16, DType::kFloat32}) {
        const CountedMemory memory;
        const std::unique_ptr<Model> model = large.Load({.dtype = dtype});
        EXPECT_LT(CountedMemory::peak(), model->resident_bytes() + kBlock) << DTypeName(dtype);
        const int64_t before = model->resident_bytes();
        const std::vector<int32_t> tokens = {1, 2};
        ASSERT_TRUE(CollectPredictions(*model, {.prompts = {tokens}, .variants = {{}}}).ok());
        EXPECT_GT(model->resident_bytes(), before);
        EXPECT_LT(CountedMemory::peak(), model->resident_bytes() + kBlock) << DTypeName(dtype);
      }
    }
  }
}

}  // namespace
}  // namespace induct::engine
