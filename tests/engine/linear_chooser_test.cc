// The products of linear layers: each computes the same, and the chooser keeps its promises.
#include "server/engine/linear_chooser.h"

#include <ATen/Parallel.h>
#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <thread>

#include "server/engine/processor.h"
#include "tests/engine/counted_memory.h"
#include "tests/engine/pass_results.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

using testing::Contains;
using testing::SizeIs;

// Passes that there is time to measure anything for, and none.
ChoosingTime Plenty() { return {.n_passes = 1000}; }

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
  // n_calls: that there is time for.
  static std::optional<Fastest> Of(const std::vector<std::vector<double>>& seconds, size_t n_calls = 100,
                                   std::vector<size_t>* calls = nullptr) {
    std::vector<size_t> of_each(seconds.size());
    const auto fastest = FastestOf(
        seconds.size(), [&](size_t i) { return seconds[i].at(of_each[i]++); },
        [&] { return std::accumulate(of_each.begin(), of_each.end(), size_t{0}) < n_calls; });
    if (calls != nullptr) *calls = of_each;
    return fastest;
  }
};

TEST_F(FastestOfTest, TakesTheLeastTime) {
  const auto fastest = Of({{9, 3, 3, 3}, {2.5, 4, 2.7, 9}, {9, 2.6, 2.6, 2.6}});  // busy moments
  EXPECT_EQ(fastest->index, 1u);
  EXPECT_EQ(fastest->seconds, 2.5);
}

TEST_F(FastestOfTest, NoiseIsNoReasonToLeaveTheFirst) {
  EXPECT_EQ(Of({{1.01, 1.01, 1.01, 1.01}, {1, 1, 1, 1}})->index, 0u);
  EXPECT_EQ(Of({{1.05, 1.05, 1.05, 1.05}, {1, 1, 1, 1}})->index, 1u);
}

TEST_F(FastestOfTest, WhatIsHopelessHasNoFurtherTurn) {
  std::vector<size_t> calls;
  EXPECT_EQ(Of({{9, 1, 1, 1}, {9, 2.1}, {9, 1.2, 1.2}, {9, 1.05, 1, 0.9}}, 100, &calls)->index, 3u);
  EXPECT_THAT(calls, testing::ElementsAre(4u, 2u, 3u, 4u));
}

TEST_F(FastestOfTest, OneThingIsTimedToo) { EXPECT_EQ(Of({{9, 2, 3, 3}})->seconds, 2); }

TEST_F(FastestOfTest, WhereTimeEndsTwoTurnsOfEachAreEnough) {
  EXPECT_FALSE(Of({{2, 2, 2, 2}, {1, 1, 1, 1}}, 3));
  EXPECT_EQ(Of({{2, 2, 2, 2}, {1, 1, 1, 1}}, 4)->index, 1u);
}

TEST_F(FastestOfTest, TurnsThatScatterAreNotSteady) {
  EXPECT_TRUE(Of({{9, 1, 1.2, 1.25}, {9, 3}})->is_steady);  // the first turn is not like the others
  EXPECT_FALSE(Of({{9, 1, 1.35, 1}})->is_steady);
  EXPECT_FALSE(Of({{1, 1, 1, 1}}, 3)->is_steady);  // time ended
}

TEST(LinearMethods, MeasuringGivesOneOfThemAndItsRate) {
  const c10::InferenceMode inference;
  const LinearShape shape = {.n_rows = 128, .n_in = 64, .n_out = 64, .dtype = at::kFloat, .may_pack = true};
  const int threads = at::get_num_threads();
  for (Timing timing : {Timing::kAllThreads, Timing::kOneThread}) {
    const bool on_one_thread = timing == Timing::kOneThread;
    const auto measured = MeasureMethods(shape, timing, [] { return true; });
    ASSERT_TRUE(measured);
    EXPECT_THAT(CandidateMethods(shape), Contains(measured->choice.method));
    EXPECT_GT(measured->choice.gflops, 0);
    EXPECT_FALSE(on_one_thread && measured->is_steady);
    EXPECT_EQ(at::get_num_threads(), threads);
  }
}

TEST(LinearMethods, AProcessOfManyThreadsOnFewCoresIsBusy) {
  const c10::InferenceMode inference;
  const LinearShape shape = {.n_rows = 512, .n_in = 512, .n_out = 512, .dtype = at::kFloat};
  const int threads = at::get_num_threads();
  at::set_num_threads(4 * static_cast<int>(std::thread::hardware_concurrency()));
  Timing timing = Timing::kAllThreads;
  const auto measured = MeasureMethods(shape, timing, [] { return true; });
  at::set_num_threads(threads);
  EXPECT_EQ(timing, Timing::kOneThread);
  ASSERT_TRUE(measured);
  EXPECT_FALSE(measured->is_steady);
}

TEST(ChoosingTime, IsAShareOfThePassesOrATenthOfASecondForEach) {
  ChoosingTime time = {.n_passes = 1, .flop = 1e11};
  EXPECT_DOUBLE_EQ(time.SecondsLeft(100), 0.1);
  time.flop = 1e13;  // 100 seconds
  EXPECT_NEAR(time.SecondsLeft(100), 1.5, 0.5);
  time = {.n_passes = 3, .flop = 1e9, .spent_seconds = 0.25};
  EXPECT_NEAR(time.SecondsLeft(100), 0.05, 1e-9);
}

// At 1 GFLOP/s.
class MeasuredPartTest : public testing::Test {
 protected:
  static double Seconds(const LinearShape& shape) { return shape.Flop() / 1e9; }

  const LinearShape shape_ = {.n_rows = 1024, .n_in = 1000, .n_out = 1024, .dtype = at::kFloat};
  const double n_methods_ = static_cast<double>(CandidateMethods(shape_).size());
};

TEST_F(MeasuredPartTest, LosesColumnsBeforeRows) {
  const double whole = 4 * n_methods_ * Seconds(shape_);
  const auto part = [&](double seconds) { return MeasuredPart(std::span(&shape_, 1), 1, seconds); };
  EXPECT_EQ(part(2 * whole)->n_out, 1024);
  EXPECT_EQ(part(whole / 3)->n_out, 320);
  EXPECT_EQ(part(whole / 3)->n_rows, 1024);
  EXPECT_EQ(part(whole / 32)->n_out, 64);
  EXPECT_EQ(part(whole / 32)->n_rows, 512);
  EXPECT_FALSE(part(whole / 100));
}

TEST_F(MeasuredPartTest, LeavesTimeForTheOthersUnlessItNeedsAll) {
  const std::vector<LinearShape> two = {shape_, shape_};
  const double whole = 4 * n_methods_ * Seconds(shape_);
  EXPECT_EQ(MeasuredPart(two, 1, whole)->n_out, 512);
  EXPECT_EQ(MeasuredPart(two, 1, whole / 50)->n_rows, 256);
}

TEST_F(MeasuredPartTest, NeverGrowsBeyondWhatTells) {
  LinearShape unembedding = {.n_rows = 125, .n_in = 64, .n_out = 50304, .dtype = at::kFloat};
  const auto part = MeasuredPart(std::span(&unembedding, 1), 1, 1e6);
  EXPECT_EQ(part->n_rows, 125);
  EXPECT_NEAR(static_cast<double>(part->n_rows * part->n_out), 1 << 20, 1 << 14);
}

TEST(TimesFloat32, Float32IsAsFastAsItself) {
  const c10::InferenceMode inference;
  const LinearShape shape = {.n_rows = 256, .n_in = 512, .n_out = 128, .dtype = at::kFloat};
  EXPECT_NEAR(TimesFloat32(shape, DefaultMethod(at::kFloat)), 1, 0.4);
}

class RecordedChoices : public ChoiceMemory {
 public:
  std::optional<LinearChoice> Find(const std::string& key) override {
    looked_for.insert(key);
    const auto found = choices.find(key);
    return found == choices.end() ? of_all : std::optional(found->second);
  }
  void Keep(const std::string& key, const LinearChoice& choice) override { choices[key] = choice; }

  std::map<std::string, LinearChoice> choices;
  std::optional<LinearChoice> of_all;  // where there is none of the key
  std::set<std::string> looked_for;
};

class LinearChooserTest : public testing::Test {
 protected:
  static LinearShape Shape(int64_t n_out) {
    return {.n_rows = 256, .n_in = 64, .n_out = n_out, .dtype = at::kFloat, .may_pack = true};
  }

  static std::vector<std::optional<LinearChoice>> Choose(LinearChooser& chooser,
                                                         const std::vector<LinearShape>& shapes,
                                                         ChoosingTime time = Plenty(),
                                                         std::stop_token stop = {}) {
    return chooser.Choose(shapes, time, std::move(stop));
  }

  // Keys of what it looks for.
  std::set<std::string> Keys(const std::vector<LinearShape>& shapes) {
    memory_->looked_for.clear();
    LinearChooser chooser(std::nullopt, memory_);
    Choose(chooser, shapes, /*time=*/{});
    return memory_->looked_for;
  }

  // As an earlier process would have, on a quiet machine.
  void Remember(const LinearShape& shape, const LinearChoice& choice) {
    memory_->choices[*Keys({shape}).begin()] = choice;
  }

  const c10::InferenceMode inference_;
  const std::shared_ptr<RecordedChoices> memory_ = std::make_shared<RecordedChoices>();
  const LinearChoice of_memory_ = {.method = {.product = LinearProduct::kAten}, .gflops = 12345};
};

TEST_F(LinearChooserTest, AShapeIsMeasuredOnce) {
  LinearChooser chooser(std::nullopt, memory_);
  const auto first = Choose(chooser, {Shape(64), Shape(128), Shape(64)});
  ASSERT_THAT(first, testing::ElementsAre(testing::Ne(std::nullopt), testing::Ne(std::nullopt),
                                          testing::Ne(std::nullopt)));
  EXPECT_EQ(first[0]->gflops, first[2]->gflops);
  EXPECT_EQ(Choose(chooser, {Shape(64)}, /*time=*/{})[0].value().gflops, first[0]->gflops);
}

TEST_F(LinearChooserTest, WhatWasSteadyIsRemembered) {
  for (int i = 0; i < 20 && memory_->choices.empty(); ++i) {  // the machine may be busy
    LinearChooser chooser(std::nullopt, memory_);
    Choose(chooser, {Shape(64)});
  }
  if (memory_->choices.empty()) GTEST_SKIP() << "a busy machine";
  LinearChooser chooser(std::nullopt, memory_);
  EXPECT_EQ(Choose(chooser, {Shape(64)}, /*time=*/{})[0].value().gflops,
            memory_->choices.begin()->second.gflops);
}

TEST_F(LinearChooserTest, WhatABusyMachineChoseIsNotRemembered) {
  const int threads = at::get_num_threads();
  at::set_num_threads(4 * static_cast<int>(std::thread::hardware_concurrency()));
  LinearShape large = Shape(512);
  large.n_rows = large.n_in = 512;
  LinearChooser chooser(std::nullopt, memory_);
  const auto choices = Choose(chooser, {large});
  at::set_num_threads(threads);
  EXPECT_TRUE(choices[0]);
  EXPECT_TRUE(memory_->choices.empty());
}

TEST_F(LinearChooserTest, WhatIsRememberedIsNotMeasured) {
  Remember(Shape(64), of_memory_);
  LinearChooser chooser(std::nullopt, memory_);
  EXPECT_EQ(Choose(chooser, {Shape(64)}, /*time=*/{})[0].value().gflops, 12345);
}

TEST_F(LinearChooserTest, ARememberedMethodThatThisProcessorLacksIsMeasuredAgain) {
  LinearChoice choice = of_memory_;
  choice.method.fuses_activation = true;  // there is no such method
  Remember(Shape(64), choice);
  LinearChooser chooser(std::nullopt, memory_);
  EXPECT_NE(Choose(chooser, {Shape(64)})[0].value().gflops, 12345);
}

TEST_F(LinearChooserTest, TheKeyTellsShapesDtypesThreadsAndRestrictionsApart) {
  LinearShape shape = Shape(64);
  std::set<std::string> keys = Keys({shape});
  const auto is_new = [&] {
    const size_t before = keys.size();
    keys.merge(Keys({shape}));
    return keys.size() == before + 1;
  };
  EXPECT_FALSE(is_new());
  shape.activation = Activation::kSilu;
  EXPECT_TRUE(is_new());
  shape.may_pack = false;
  EXPECT_TRUE(is_new());
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 1);
  EXPECT_TRUE(is_new());
  at::set_num_threads(threads);
  for (const char* const name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"}) {
    const char* const before = std::getenv(name);
    const std::string old = before == nullptr ? "" : before;
    setenv(name, "AVX", 1);  // read before by whom it concerns
    EXPECT_TRUE(is_new()) << name;
    before == nullptr ? unsetenv(name) : setenv(name, old.c_str(), 1);
  }
}

TEST_F(LinearChooserTest, NothingIsMeasuredWithoutTimeOrAfterAStop) {
  LinearChooser chooser(std::nullopt, memory_);
  EXPECT_FALSE(Choose(chooser, {Shape(64)}, /*time=*/{})[0]);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(Choose(chooser, {Shape(64)}, Plenty(), stop.get_token())[0]);
}

// Measuring a shape takes some 30 calls of half a millisecond; there is time for no more than a few shapes.
TEST_F(LinearChooserTest, ShortPassesAddUpAndTheMostCostlyShapeIsFirst) {
  std::vector<LinearShape> shapes;
  for (int i = 0; i < 40; ++i) {
    shapes.push_back(Shape(64 + i));
    shapes.back().pass_flop = i;
  }
  LinearChooser chooser(std::nullopt, memory_);
  ChoosingTime time;
  const auto n_known = [&] {
    ++time.n_passes;
    const auto choices = chooser.Choose(shapes, time, {});
    const auto first =
        std::find_if(choices.begin(), choices.end(), [](const auto& c) { return c.has_value(); });
    EXPECT_EQ(std::count(first, choices.end(), std::nullopt), 0);  // the last ones are known
    return choices.end() - first;
  };
  const auto after_one = n_known();
  EXPECT_LT(after_one, 40);
  for (int i = 0; i < 1000 && n_known() < 40; ++i) {
  }
  EXPECT_EQ(n_known(), 40);
}

TEST_F(LinearChooserTest, OneMethodIsNoChoice) {
  LinearShape in_half = Shape(64);
  in_half.dtype = at::kHalf;  // at::linear alone
  LinearChooser chooser(std::nullopt, memory_);
  ChoosingTime time;
  const auto choices = chooser.Choose({in_half}, time, {});
  EXPECT_EQ(choices[0].value().method.product, LinearProduct::kAten);
  EXPECT_EQ(time.spent_seconds, 0);
  EXPECT_TRUE(memory_->looked_for.empty());
}

TEST_F(LinearChooserTest, AFixedProductIsUsedWhereThereIsOne) {
  LinearShape in_half = Shape(64);
  in_half.dtype = at::kHalf;  // at::linear alone
  for (const LinearProduct product :
       {LinearProduct::kAten, LinearProduct::kOneDnn, LinearProduct::kOneDnnPacked}) {
    LinearChooser chooser(product, memory_);
    ChoosingTime time;
    const auto choices = chooser.Choose({Shape(64), in_half}, time, {});
    EXPECT_EQ(choices[0].value().method.product,
              HasProduct(product, at::kFloat) ? product : DefaultMethod(at::kFloat).product);
    EXPECT_EQ(choices[1].value().method.product, LinearProduct::kAten);
    EXPECT_FALSE(chooser.BesideFloat32(in_half, choices[1]->method, time));
  }
  EXPECT_TRUE(memory_->looked_for.empty());
}

// What a model computes with each product, and by whichever is chosen.
constexpr LinearWork kMuch = {.n_tokens = 100'000'000, .n_logits = 100'000'000};

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
    const auto uses = model.ChooseLinear(kMuch, {});
    ASSERT_TRUE(uses.ok()) << uses.status();
    EXPECT_THAT(*uses, SizeIs(TestDevice() == "cpu" ? 5 : 0));
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
  EXPECT_EQ(model->ChooseLinear(kMuch, stop.get_token()).status().code(), absl::StatusCode::kCancelled);
}

// Whether the uses are what was measured.
MATCHER(IsMeasured, "") { return arg.choice.gflops > 0; }

TEST(ModelProducts, ShortPassesAreMeasuredTooAndUntilThenTheDefaultIsTold) {
  if (TestDevice() != "cpu") GTEST_SKIP() << "nothing is chosen elsewhere";
  DecoderSpec sizes = SmallSizes();
  sizes.d_model = 512;
  sizes.d_mlp = 2048;
  const std::unique_ptr<Model> model =
      RandomModel(sizes, 3).Load({.linear_chooser = MakeLinearChooser(std::nullopt, nullptr)});
  const auto choose = [&] { return model->ChooseLinear({.n_tokens = 8}, {}).value(); };
  std::vector<LinearUse> uses = choose();
  ASSERT_THAT(uses, SizeIs(4));
  for (const LinearUse& use : uses) {
    EXPECT_TRUE(use.choice.gflops > 0 || use.choice.method == DefaultMethod(at::kFloat));
  }
  if (!HasProduct(LinearProduct::kOneDnn, at::kFloat)) GTEST_SKIP() << "there is no choice";
  for (int i = 0; i < 300 && !testing::Value(uses, testing::Each(IsMeasured())); ++i) uses = choose();
  EXPECT_THAT(uses, testing::Each(IsMeasured()));
}

TEST(ModelProducts, TheUnembeddingIsMeasuredWhereThereAreLogits) {
  if (TestDevice() != "cpu") GTEST_SKIP() << "nothing is chosen elsewhere";
  const std::unique_ptr<Model> model =
      RandomModel(SmallSizes(), 3).Load({.linear_chooser = MakeLinearChooser(std::nullopt, nullptr)});
  EXPECT_THAT(model->ChooseLinear({.n_tokens = 1000}, {}).value(), SizeIs(4));
  const auto uses = model->ChooseLinear(kMuch, {}).value();
  ASSERT_THAT(uses, SizeIs(5));
  EXPECT_EQ(uses.back().n_out, SmallSizes().vocab_size);
  EXPECT_THAT(uses.back(), IsMeasured());
}

// What a file says of rates was another moment's: it makes no dtype slow or fast.
TEST(ModelProducts, TellsWhereFloat32WouldBeFasterByOneMoment) {
  if (TestDevice() != "cpu") GTEST_SKIP() << "nothing is chosen elsewhere";
  const TestModel test_model = RandomModel(SmallSizes(), 3);
  const auto times_float32 = [&](DType dtype, double gflops_in_file) {
    const auto memory = std::make_shared<RecordedChoices>();
    memory->of_all = LinearChoice{.method = DefaultMethod(at::kFloat), .gflops = gflops_in_file};
    const std::unique_ptr<Model> model =
        test_model.Load({.dtype = dtype, .linear_chooser = MakeLinearChooser(std::nullopt, memory)});
    return model->ChooseLinear({.n_tokens = 8}, {}).value()[3].times_float32;
  };
  EXPECT_EQ(times_float32(DType::kFloat32, 1e-3), 0);
  const double of_bfloat16 = times_float32(DType::kBFloat16, 1e-3);
  EXPECT_NEAR(times_float32(DType::kBFloat16, 1e6), of_bfloat16, 0.5 * of_bfloat16 + 1.6);
  EXPECT_TRUE(of_bfloat16 == 0 || of_bfloat16 > 1.1);
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
