// The products of linear layers: each computes the same, and the chooser keeps its promises.
#include "server/engine/linear_chooser.h"

#include <ATen/Parallel.h>
#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <string>

#include "server/engine/processor.h"
#include "tests/engine/counted_memory.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

using testing::Contains;
using testing::SizeIs;

constexpr double kPlenty = 1e15;  // operations, enough to measure anything

// GELU(x W^T + b) in double, in plain loops.
std::vector<double> PlainLoops(const Linear& linear, const at::Tensor& input, bool gelu) {
  const at::Tensor x = input.to(at::kDouble), w = linear.weight.to(at::kDouble),
                   b = linear.bias.to(at::kDouble);
  std::vector<double> outputs;
  for (int64_t row = 0; row < x.size(0); ++row) {
    for (int64_t out = 0; out < w.size(0); ++out) {
      double sum = b.const_data_ptr<double>()[out];
      for (int64_t in = 0; in < x.size(1); ++in) {
        sum += x.const_data_ptr<double>()[row * x.size(1) + in] *
               w.const_data_ptr<double>()[out * w.size(1) + in];
      }
      outputs.push_back(gelu ? sum * 0.5 * std::erfc(-sum / std::sqrt(2.0)) : sum);
    }
  }
  return outputs;
}

TEST(LinearMethods, EachComputesTheSameForAnyNumberOfRows) {
  const c10::InferenceMode inference;
  for (const auto& [dtype, tolerance] :
       {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 0.05}, {at::kHalf, 0.01}}) {
    for (const bool gelu : {false, true}) {
      LinearShape shape = {.n_rows = 33, .n_in = 70, .n_out = 45, .dtype = dtype, .may_pack = true};
      if (gelu) shape.activation = Activation::kGeluExact;
      const Linear plain = {.weight = at::rand({45, 70}, dtype).sub_(0.5), .bias = at::rand({45}, dtype)};
      for (const LinearMethod& method : CandidateMethods(shape)) {
        SCOPED_TRACE(testing::Message()
                     << LinearProductName(method.product) << method.fuses_activation << dtype);
        Linear linear = plain;
        linear.method = method;
        if (method.product == LinearProduct::kOneDnnPacked) linear.weight = PackWeight(plain.weight, 33);
        for (const int64_t rows : {33, 1, 100}) {  // packed for 33
          const at::Tensor input = at::rand({rows, 70}, dtype);
          const std::vector<double> expected = PlainLoops(plain, input, gelu);
          const at::Tensor output = ApplyLinear(linear, input, shape.activation).to(at::kDouble).contiguous();
          ASSERT_EQ(output.sizes(), at::IntArrayRef({rows, 45}));
          for (size_t i = 0; i < expected.size(); ++i) {
            ASSERT_NEAR(output.const_data_ptr<double>()[i], expected[i],
                        tolerance * (1 + std::abs(expected[i])));
          }
          const at::Tensor first = ApplyFirstOutputs(linear, 20, input).to(at::kDouble).contiguous();
          ASSERT_EQ(first.sizes(), at::IntArrayRef({rows, 20}));
          if (gelu) continue;
          for (int64_t i = 0; i < first.numel(); ++i) {
            const double here = expected[static_cast<size_t>(i / 20 * 45 + i % 20)];
            ASSERT_NEAR(first.const_data_ptr<double>()[i], here, tolerance * (1 + std::abs(here)));
          }
        }
      }
    }
  }
}

TEST(LinearMethods, WeightsThatMustStayAsTheyAreAreNotPacked) {
  const LinearShape shape = {.n_rows = 8, .n_in = 8, .n_out = 8, .dtype = at::kFloat, .may_pack = false};
  for (const LinearMethod& method : CandidateMethods(shape)) {
    EXPECT_NE(method.product, LinearProduct::kOneDnnPacked);
  }
}

TEST(LinearMethods, NamesCanBeReadBack) {
  for (const LinearProduct product :
       {LinearProduct::kAten, LinearProduct::kOneDnn, LinearProduct::kOneDnnPacked}) {
    EXPECT_EQ(ParseLinearProduct(LinearProductName(product)), product);
  }
  EXPECT_EQ(ParseLinearProduct("auto"), std::nullopt);
}

// Things that take what a list says, call by call.
class FastestOfTest : public testing::Test {
 protected:
  static Fastest Of(const std::vector<std::vector<double>>& seconds, std::vector<size_t>* calls = nullptr) {
    std::vector<size_t> n_calls(seconds.size());
    const Fastest fastest = FastestOf(seconds.size(), [&](size_t i) { return seconds[i].at(n_calls[i]++); });
    if (calls != nullptr) *calls = n_calls;
    return fastest;
  }
};

TEST_F(FastestOfTest, TakesTheLeastTime) {
  const Fastest fastest = Of({{9, 3, 3}, {2.5, 9, 9}, {9, 2.6, 2.6}});  // two busy moments
  EXPECT_EQ(fastest.index, 1u);
  EXPECT_EQ(fastest.seconds, 2.5);
}

TEST_F(FastestOfTest, NoiseIsNoReasonToLeaveTheFirst) {
  EXPECT_EQ(Of({{1.01, 1.01, 1.01}, {1, 1, 1}}).index, 0u);
  EXPECT_EQ(Of({{1.05, 1.05, 1.05}, {1, 1, 1}}).index, 1u);
}

TEST_F(FastestOfTest, WhatIsMuchSlowerHasNoLastTurn) {
  std::vector<size_t> calls;
  EXPECT_EQ(Of({{9, 1, 1}, {9, 1.2, 0}, {9, 1.05, 0.9}}, &calls).index, 2u);
  EXPECT_THAT(calls, testing::ElementsAre(3u, 2u, 3u));
}

TEST_F(FastestOfTest, OneThingIsTimedToo) { EXPECT_EQ(Of({{9, 2, 3}}).seconds, 2); }

TEST(LinearMethods, MeasuringGivesOneOfThemAndItsRate) {
  const c10::InferenceMode inference;
  const LinearShape shape = {.n_rows = 128, .n_in = 64, .n_out = 64, .dtype = at::kFloat, .may_pack = true};
  const LinearChoice choice = MeasureMethods(shape);
  EXPECT_THAT(CandidateMethods(shape), Contains(choice.method));
  EXPECT_GT(choice.gflops, 0);
}

class RecordedChoices : public ChoiceMemory {
 public:
  std::optional<LinearChoice> Find(const std::string& key) override {
    const auto found = choices.find(key);
    return found == choices.end() ? std::nullopt : std::optional(found->second);
  }
  void Keep(const std::string& key, const LinearChoice& choice) override { choices[key] = choice; }

  std::map<std::string, LinearChoice> choices;
};

class LinearChooserTest : public testing::Test {
 protected:
  static LinearShape Shape(int64_t n_out) {
    return {.n_rows = 256, .n_in = 64, .n_out = n_out, .dtype = at::kFloat, .may_pack = true};
  }

  const c10::InferenceMode inference_;
  const std::shared_ptr<RecordedChoices> memory_ = std::make_shared<RecordedChoices>();
};

TEST_F(LinearChooserTest, AShapeIsMeasuredOnceAndRemembered) {
  LinearChooser chooser(std::nullopt, memory_);
  const auto first = chooser.Choose({Shape(64), Shape(128), Shape(64)}, kPlenty, {});
  ASSERT_TRUE(first);
  ASSERT_THAT(*first, SizeIs(3));
  EXPECT_THAT(memory_->choices, SizeIs(2));
  EXPECT_EQ((*first)[0].gflops, (*first)[2].gflops);
  const auto again = chooser.Choose({Shape(64)}, /*max_flop=*/0, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->front().gflops, first->front().gflops);
}

TEST_F(LinearChooserTest, WhatIsRememberedIsNotMeasured) {
  LinearChooser(std::nullopt, memory_).Choose({Shape(64)}, kPlenty, {});
  ASSERT_THAT(memory_->choices, SizeIs(1));
  memory_->choices.begin()->second = {.method = {.product = LinearProduct::kAten}, .gflops = 12345};
  const auto choice = LinearChooser(std::nullopt, memory_).Choose({Shape(64)}, /*max_flop=*/0, {});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->front().gflops, 12345);
}

TEST_F(LinearChooserTest, ARememberedMethodThatThisProcessorLacksIsMeasuredAgain) {
  LinearChooser(std::nullopt, memory_).Choose({Shape(64)}, kPlenty, {});
  memory_->choices.begin()->second = {
      .method = {.product = LinearProduct::kAten, .fuses_activation = true},  // there is no such method
      .gflops = 12345};
  const auto choice = LinearChooser(std::nullopt, memory_).Choose({Shape(64)}, kPlenty, {});
  ASSERT_TRUE(choice);
  EXPECT_NE(choice->front().gflops, 12345);
}

TEST_F(LinearChooserTest, TheKeyTellsShapesDtypesAndThreadsApart) {
  LinearChooser chooser(std::nullopt, memory_);
  LinearShape shape = Shape(64);
  chooser.Choose({shape}, kPlenty, {});
  shape.activation = Activation::kSilu;
  chooser.Choose({shape}, kPlenty, {});
  shape.dtype = at::kHalf;
  chooser.Choose({shape}, kPlenty, {});
  shape.may_pack = false;
  chooser.Choose({shape}, kPlenty, {});
  EXPECT_THAT(memory_->choices, SizeIs(4));
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 1);
  chooser.Choose({shape}, kPlenty, {});
  at::set_num_threads(threads);
  EXPECT_THAT(memory_->choices, SizeIs(5));
}

TEST_F(LinearChooserTest, NothingIsChosenWithTooFewOperationsOrAfterAStop) {
  LinearChooser chooser(std::nullopt, memory_);
  EXPECT_FALSE(chooser.Choose({Shape(64)}, /*max_flop=*/1000, {}));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(chooser.Choose({Shape(64)}, kPlenty, stop.get_token()));
  EXPECT_TRUE(memory_->choices.empty());
}

TEST_F(LinearChooserTest, AFixedProductIsUsedWhereThereIsOne) {
  LinearShape in_half = Shape(64);
  in_half.dtype = at::kHalf;  // at::linear alone
  for (const LinearProduct product :
       {LinearProduct::kAten, LinearProduct::kOneDnn, LinearProduct::kOneDnnPacked}) {
    const auto choices = LinearChooser(product, memory_).Choose({Shape(64), in_half}, /*max_flop=*/0, {});
    ASSERT_TRUE(choices);
    EXPECT_EQ((*choices)[0].method.product,
              HasProduct(product, at::kFloat) ? product : DefaultMethod(at::kFloat).product);
    EXPECT_EQ((*choices)[1].method.product, LinearProduct::kAten);
  }
  EXPECT_TRUE(memory_->choices.empty());
}

// What a model computes with each product, and by whichever is chosen.
class ModelProductsTest : public testing::TestWithParam<std::optional<LinearProduct>> {
 protected:
  static LoadOptions Options(bool stream_layers = false) {
    return {.stream_layers = stream_layers, .linear_chooser = MakeLinearChooser(GetParam(), nullptr)};
  }

  static std::unique_ptr<Model> Settled(const TestModel& test_model, const LoadOptions& options) {
    std::unique_ptr<Model> model = test_model.Load(options);
    Settle(*model);
    return model;
  }

  static void Settle(Model& model) {
    const auto uses = model.ChooseLinear(1'000'000, {});
    ASSERT_TRUE(uses.ok()) << uses.status();
    EXPECT_THAT(*uses, SizeIs(TestDevice() == "cpu" ? 4 : 0));
  }

  // Of the layers that are run, in the order in which they come.
  static absl::StatusOr<std::vector<double>> Sums(Model& model, Pass pass) {
    std::vector<double> sums;
    pass.on_layer = [&](const LayerReadout& readout) {
      sums.insert(sums.end(), readout.sums.begin(), readout.sums.end());
      return absl::OkStatus();
    };
    const absl::Status status = model.Run(pass, {});
    if (!status.ok()) return status;
    return sums;
  }

  static void ExpectNear(const std::vector<double>& values, const std::vector<double>& expected) {
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], 1e-4) << i;
  }
};

INSTANTIATE_TEST_SUITE_P(Settings, ModelProductsTest,
                         testing::Values(std::nullopt, LinearProduct::kAten, LinearProduct::kOneDnn,
                                         LinearProduct::kOneDnnPacked),
                         [](const auto& info) {
                           return info.param ? std::string(LinearProductName(*info.param)) : "auto";
                         });

TEST_P(ModelProductsTest, PassesGiveTheSameSums) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    const TestModel test_model = RandomWeightsFor(RandomDecoder(seed), 1.0f, seed);
    const TestPrompts prompts = RandomPrompts(test_model.spec, {7, 40, 12}, 20, 2, seed);
    for (const int64_t n_layers : {int64_t{0}, int64_t{1}}) {
      const Pass pass = {.prompts = prompts.View(), .n_groups = 2, .n_layers = n_layers};
      const auto expected = Sums(*test_model.Load(), pass);
      ASSERT_TRUE(expected.ok()) << expected.status();
      for (const bool streamed : {false, true}) {
        const auto sums = Sums(*Settled(test_model, Options(streamed)), pass);
        ASSERT_TRUE(sums.ok()) << sums.status();
        ExpectNear(*sums, *expected);
      }
    }
  }
}

TEST_P(ModelProductsTest, VariantsGiveTheSamePredictions) {
  const TestModel test_model = RandomModel(SmallSizes(), 3);
  const TestPrompts prompts = RandomPrompts(test_model.spec, {20, 9}, 1, 1, 4);
  const AblationPass pass = {.prompts = {prompts.tokens.begin(), prompts.tokens.end()},
                             .variants = {{}, {{.layer = 1, .head = 0}}}};
  const auto expected = CollectPredictions(*test_model.Load(), pass);
  const auto predictions = CollectPredictions(*Settled(test_model, Options()), pass);
  ASSERT_TRUE(expected.ok() && predictions.ok());
  for (const auto& [key, values] : *expected) {
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(predictions->at(key)[i].nll, values[i].nll, 1e-4);
  }
}

TEST_P(ModelProductsTest, ThereIsOneCopyOfTheWeights) {
  if (TestDevice() != "cpu") GTEST_SKIP() << "the allocator stands in for the CPU's";
  DecoderSpec sizes = SmallSizes();
  sizes.d_model = 256;
  sizes.d_mlp = 1024;
  const TestModel test_model = RandomModel(sizes, 1);
  const TestPrompts prompts = RandomPrompts(test_model.spec, {8}, 4, 1, 2);
  const auto peak = [&](bool settle) {
    const CountedMemory memory;
    const std::unique_ptr<Model> model = test_model.Load(Options());
    if (settle) Settle(*model);
    CountedMemory::ForgetPeak();
    EXPECT_TRUE(CollectSums(*model, {.prompts = prompts.View()}).ok());
    return CountedMemory::peak();
  };
  EXPECT_LT(static_cast<double>(peak(true)), 1.1 * static_cast<double>(peak(false)));
}

TEST_P(ModelProductsTest, AStopIsHeeded) {
  std::stop_source stop;
  stop.request_stop();
  if (TestDevice() != "cpu") GTEST_SKIP() << "nothing is chosen elsewhere";
  const std::unique_ptr<Model> model = RandomModel(SmallSizes(), 3).Load(Options());
  EXPECT_EQ(model->ChooseLinear(1'000'000, stop.get_token()).status().code(), absl::StatusCode::kCancelled);
}

TEST(ModelProducts, AShortPassLeavesTheDefault) {
  if (TestDevice() != "cpu") GTEST_SKIP() << "nothing is chosen elsewhere";
  DecoderSpec sizes = SmallSizes();
  sizes.d_model = 512;
  sizes.d_mlp = 2048;
  const std::unique_ptr<Model> model =
      RandomModel(sizes, 3).Load({.linear_chooser = MakeLinearChooser(std::nullopt, nullptr)});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);  // what may be measured grows with them
  const auto after_short = model->ChooseLinear(8, {});
  const auto after_long = model->ChooseLinear(10'000'000, {});
  at::set_num_threads(threads);
  ASSERT_TRUE(after_short.ok() && after_long.ok());
  EXPECT_THAT(*after_short, SizeIs(0));
  EXPECT_THAT(*after_long, SizeIs(4));
}

TEST(ModelProducts, TellsWhereFloat32WouldBeFaster) {
  if (TestDevice() != "cpu") GTEST_SKIP() << "nothing is chosen elsewhere";
  const TestModel test_model = RandomModel(SmallSizes(), 3);
  const auto memory = std::make_shared<RecordedChoices>();
  const auto faster_in_float32 = [&] {
    const std::unique_ptr<Model> model = test_model.Load(
        {.dtype = DType::kBFloat16, .linear_chooser = MakeLinearChooser(std::nullopt, memory)});
    const auto uses = model->ChooseLinear(1'000'000, {});
    return uses.ok() && !uses->empty() ? uses->back().float32_gflops : -1;
  };
  ASSERT_GE(faster_in_float32(), 0);  // measures
  const auto set_rates = [&](double of_bfloat16, double of_float32) {
    for (auto& [key, choice] : memory->choices) {
      choice.gflops = key.find("BFloat16") != std::string::npos ? of_bfloat16 : of_float32;
    }
  };
  set_rates(1, 100);
  EXPECT_EQ(faster_in_float32(), 100);
  set_rates(100, 1);
  EXPECT_EQ(faster_in_float32(), 0);
}

TEST(ProcessorDescription, ReadsTheFirstProcessor) {
  const std::string path = testing::TempDir() + "/cpuinfo";
  std::ofstream(path) << "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Some CPU @ 2\n\n"
                         "processor\t: 1\nmodel name\t: another\n";
  EXPECT_EQ(ProcessorDescription(path), "Some CPU @ 2, family 25 model 1");
  EXPECT_EQ(ProcessorDescription(path + ".absent"), "unknown processor");
}

}  // namespace
}  // namespace induct::engine
