// Streamed layers: the next one is read while one is at work, and no further.
#include "server/engine/layer_queue.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

class LayerQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    test_model_.source->before_read = [this](const std::string& name) {
      const absl::MutexLock lock(&mutex_);
      for (int64_t layer = 0; layer < test_model_.spec.n_layers; ++layer) {
        if (name.find("layers." + std::to_string(layer) + ".") != std::string::npos) begun_.insert(layer);
      }
      return absl::OkStatus();
    };
  }

  // Whether reading of the layer begins within ten seconds.
  bool Begins(int64_t layer) {
    const absl::MutexLock lock(&mutex_);
    const auto has_begun = [&] { return begun_.contains(layer); };
    return mutex_.AwaitWithTimeout(absl::Condition(&has_begun), absl::Seconds(10));
  }

  std::set<int64_t> Begun() {
    const absl::MutexLock lock(&mutex_);
    return begun_;
  }

  Pass MakePass(LayerSink on_layer) const {
    return {.prompts = {{.tokens = tokens_}}, .on_layer = std::move(on_layer)};
  }

  TestModel test_model_ = RandomModel(SmallSizes(), 3);
  const std::vector<int32_t> tokens_ = {1, 2, 3};
  absl::Mutex mutex_;
  std::set<int64_t> begun_;
};

TEST_F(LayerQueueTest, OneLayerIsReadAheadAndNoSecond) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  const Pass pass = MakePass([&](const LayerReadout& readout) {
    EXPECT_TRUE(readout.layer + 1 == test_model_.spec.n_layers || Begins(readout.layer + 1));
    EXPECT_FALSE(Begun().contains(readout.layer + 2));
    return absl::OkStatus();
  });
  EXPECT_TRUE(model->Run(pass, {}).ok());
  EXPECT_THAT(Begun(), testing::ElementsAre(0, 1, 2));
}

TEST_F(LayerQueueTest, AnErrorOfReadingAheadComesWithItsLayer) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  test_model_.source->before_read = [](const std::string& name) {
    return name.find("layers.1.") == std::string::npos ? absl::OkStatus() : absl::UnavailableError("gone");
  };
  std::vector<int64_t> layers;
  const Pass pass = MakePass([&](const LayerReadout& readout) {
    layers.push_back(readout.layer);
    return absl::OkStatus();
  });
  EXPECT_EQ(model->Run(pass, {}), absl::UnavailableError("gone"));
  EXPECT_THAT(layers, testing::ElementsAre(0));
}

TEST_F(LayerQueueTest, WhereMemoryRanOutWhileReadingAheadALayerIsReadOnceMore) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  int failures = 1;
  test_model_.source->before_read = [&](const std::string& name) {
    if (name.find("layers.1.") == std::string::npos || failures == 0) return absl::OkStatus();
    --failures;
    return WithReason(absl::ResourceExhaustedError("full"), reason::kOutOfMemory);
  };
  const Pass pass = MakePass([](const LayerReadout&) { return absl::OkStatus(); });
  EXPECT_TRUE(model->Run(pass, {}).ok());
  failures = 2;
  EXPECT_EQ(model->Run(pass, {}).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(LayerQueueTest, AStopEndsTheReadingAheadAtItsNextBlock) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  absl::Notification ended;
  int reads_of_next = 0;
  test_model_.source->before_read = [&](const std::string& name) {
    if (name.find("layers.1.") == std::string::npos) return absl::OkStatus();
    ++reads_of_next;
    ended.WaitForNotificationWithTimeout(absl::Seconds(10));
    return absl::OkStatus();
  };
  std::stop_source stop;
  const Pass pass = MakePass([&](const LayerReadout&) {
    stop.request_stop();
    ended.Notify();
    return absl::CancelledError("enough");
  });
  EXPECT_EQ(model->Run(pass, stop.get_token()), absl::CancelledError("enough"));
  EXPECT_LE(reads_of_next, 1);
}

TEST_F(LayerQueueTest, ALayerIsReadIntoTheMemoryOfTheOneBeforeTheLast) {
  const auto store = WeightStore::Load(test_model_.spec, test_model_.source, {.stream_layers = true}, {});
  ASSERT_TRUE(store.ok());
  LayerQueue layers(**store, 3, [](int64_t) { return LayerPart::kAll; }, {});
  std::vector<const void*> memory;
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<LayerWeights> layer = layers.Next();
    ASSERT_TRUE(layer.ok());
    memory.push_back(layer->mlp_input.weight.const_data_ptr());
  }
  EXPECT_NE(memory[0], memory[1]);
  EXPECT_EQ(memory[0], memory[2]);
}

// A layer may lack what the one had whose memory it takes, and has all that is its own.
TEST_F(LayerQueueTest, OfSpentWeightsNothingIsLeft) {
  TestModel plain = RandomWeightsFor(
      WithTensorNames(SmallSizes(), {.norm_biases = false, .qkv_biases = false, .other_biases = false}),
      /*gain=*/1.0f, 4);
  const auto store = WeightStore::Load(plain.spec, plain.source, {.stream_layers = true}, {});
  ASSERT_TRUE(store.ok());
  const auto expected = (*store)->Layer(0, LayerPart::kAll, /*spent=*/{}, {});
  absl::StatusOr<LayerWeights> spent = (*store)->Layer(1, LayerPart::kAll, /*spent=*/{}, {});
  ASSERT_TRUE(expected.ok() && spent.ok());
  ASSERT_FALSE(spent->qkv.bias.defined() || spent->query_norm.weight.defined());
  spent->query_norm = spent->key_norm = spent->attention_norm;
  spent->attention_norm.bias = spent->attention_norm.weight;
  spent->qkv.bias = at::ones({spent->qkv.weight.size(0)});
  spent->mlp_output.bias = at::ones({spent->mlp_output.weight.size(0)});
  const auto read = (*store)->Layer(0, LayerPart::kAll, *std::move(spent), {});
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->query_norm.weight.defined() || read->key_norm.weight.defined());
  EXPECT_FALSE(read->attention_norm.bias.defined() || read->qkv.bias.defined() ||
               read->mlp_output.bias.defined());
  EXPECT_TRUE(at::equal(read->attention_norm.weight, expected->attention_norm.weight));
  EXPECT_TRUE(at::equal(read->qkv.weight, expected->qkv.weight));
  EXPECT_TRUE(at::equal(read->mlp_output.weight, expected->mlp_output.weight));
  const auto part = (*store)->Layer(0, LayerPart::kAttentionInput, *read, {});
  ASSERT_TRUE(part.ok());
  EXPECT_FALSE(part->attention_output.weight.defined() || part->mlp_norm.weight.defined() ||
               part->mlp_input.weight.defined() || part->mlp_output.weight.defined());
}

}  // namespace
}  // namespace induct::engine
