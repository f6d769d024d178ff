// What stays float32 in 16-bit dtypes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

void Scale(StoredTensor& tensor, float factor) {
  std::vector<float> values = tensor.As<float>();
  for (float& value : values) value *= factor;
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
}

// Layers that add about a thousandth of what the residual stream has: less than a step of bfloat16.
TestModel QuietModel(const TensorOptions& options = {}) {
  TestModel model = RandomWeightsFor(WithTensorNames(SmallSizes(), options), /*gain=*/1.0f, 3);
  for (const LayerTensors& layer : model.spec.layers) {
    for (const LinearTensors* linear : {&layer.attention_output, &layer.mlp_output}) {
      Scale(model.source->tensors().at(linear->weight.name), 1e-3f);
      Scale(model.source->tensors().at(linear->bias->name), 1e-3f);
    }
  }
  return model;
}

class PrecisionTest : public testing::TestWithParam<DType> {
 protected:
  const std::vector<int32_t> tokens_ = {1, 7, 3, 7, 20, 4, 11, 2};

  ResidualStreams Streams(const TestModel& model, DType dtype) const {
    absl::StatusOr<ResidualStreams> streams =
        CollectResiduals(*model.Load({.dtype = dtype}), {.prompts = {{.tokens = tokens_}}});
    EXPECT_TRUE(streams.ok()) << streams.status();
    return *std::move(streams);
  }
};

TEST_P(PrecisionTest, WhatALayerAddsIsNotRoundedToTheSizeOfTheStream) {
  const TestModel model = QuietModel();
  const ResidualStreams exact = Streams(model, DType::kFloat32), rounded = Streams(model, GetParam());
  double error = 0, size = 0;
  for (int64_t layer = 0; layer < model.spec.n_layers; ++layer) {
    const auto added = [layer](const ResidualStreams& streams, size_t i) {
      return static_cast<double>(streams.at({layer + 1, 0})[i]) - streams.at({layer, 0})[i];
    };
    for (size_t i = 0; i < exact.at({layer, 0}).size(); ++i) {
      error += std::pow(added(rounded, i) - added(exact, i), 2);
      size += std::pow(added(exact, i), 2);
    }
  }
  EXPECT_LT(std::sqrt(error / size), 0.03);
}

TEST_P(PrecisionTest, PositionEmbeddingsAreAddedAsTheyAreStored) {
  const TestModel with = QuietModel({.position_embedding = true});
  TestModel without = with;
  without.spec.position_embedding.reset();
  const std::vector<float> sums = Streams(with, GetParam()).at({0, 0});
  const std::vector<float> embeddings = Streams(without, GetParam()).at({0, 0});
  const std::vector<float> positions =
      with.source->tensors().at(with.spec.position_embedding->name).As<float>();
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], embeddings[i] + positions[i]) << i;
}

INSTANTIATE_TEST_SUITE_P(DTypes, PrecisionTest, testing::Values(DType::kBFloat16, DType::kFloat16),
                         [](const auto& info) { return std::string(DTypeName(info.param)); });

}  // namespace
}  // namespace induct::engine
