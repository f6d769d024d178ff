// Decoders of every combination of options against the plain-loop reference.
#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/engine/pass_results.h"
#include "tests/engine/reference_decoder.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

constexpr uint32_t kDecoders = 300;
constexpr float kGain = 1.0f;  // values stay of order 1

// A random decoder with a long and some short prompts, and what the reference makes of them.
class RandomCase {
 public:
  explicit RandomCase(uint32_t seed) : RandomCase(RandomWeightsFor(RandomDecoder(seed), kGain, seed), seed) {}

  RandomCase(const TestModel& model, uint32_t seed)
      : model_(model), prompts_(RandomPrompts(model_.spec, {33, 9, 1}, 30, 3, seed)) {
    for (const std::vector<int32_t>& tokens : prompts_.tokens) {
      expected_.push_back(RunReference(model_.spec, model_.source->tensors(), tokens));
    }
  }

  const TestModel& model() const { return model_; }
  const DecoderSpec& spec() const { return model_.spec; }
  const TestPrompts& prompts() const { return prompts_; }
  const std::vector<ReferenceRun>& expected() const { return expected_; }

  Pass WithoutTargets() const {
    Pass pass;
    for (const std::vector<int32_t>& tokens : prompts_.tokens) pass.prompts.push_back({.tokens = tokens});
    return pass;
  }

 private:
  TestModel model_;
  TestPrompts prompts_;
  std::vector<ReferenceRun> expected_;  // one a prompt
};

// float32 over up to three layers
double Tolerance(double expected) { return 1e-4 * std::max(1.0, std::abs(expected)); }

// Every probability of the rows first_query .. of a prompt, each as a group of its own.
std::vector<ReadoutTarget> RowsFrom(uint32_t first_query, size_t length) {
  std::vector<ReadoutTarget> targets;
  for (uint32_t query = first_query; query < length; ++query) {
    for (uint32_t key = 0; key <= query; ++key) {
      targets.push_back({.query = query, .key = key, .group = static_cast<uint32_t>(targets.size())});
    }
  }
  return targets;
}

// The greatest distance of those probabilities from the reference's.
double AttentionError(Model& model, const RandomCase& random, size_t prompt, uint32_t first_query) {
  const std::vector<int32_t>& tokens = random.prompts().tokens[prompt];
  const std::vector<ReadoutTarget> targets = RowsFrom(first_query, tokens.size());
  const absl::StatusOr<std::vector<double>> sums =
      CollectSums(model, {.prompts = {{.tokens = tokens, .targets = targets}},
                          .n_groups = static_cast<int64_t>(targets.size())});
  EXPECT_TRUE(sums.ok()) << sums.status();
  const auto n_heads = static_cast<size_t>(random.spec().n_heads);
  double error = 0;
  for (size_t i = 0; i < sums->size(); ++i) {
    const size_t head = i % n_heads, layer = i / n_heads / targets.size();
    const ReadoutTarget& target = targets[i / n_heads % targets.size()];
    const std::vector<double>& pattern = random.expected()[prompt].attention[layer];
    const double expected = pattern[(head * tokens.size() + target.query) * tokens.size() + target.key];
    error = std::max(error, std::abs((*sums)[i] - expected));
  }
  return error;
}

TEST(ReferenceTest, WholePatternsOfRandomDecodersEqualThePlainLoops) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    const RandomCase random(seed);
    const std::unique_ptr<Model> model = random.model().Load();
    for (size_t prompt = 0; prompt < random.prompts().tokens.size(); ++prompt) {
      EXPECT_LT(AttentionError(*model, random, prompt, 0), 1e-5)
          << "decoder " << seed << ", prompt " << prompt;
    }
  }
}

// One row of 33 asks for few probabilities, so they come by the log-sum-exp.
TEST(ReferenceTest, SingleRowsOfRandomDecodersEqualThePlainLoops) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    const RandomCase random(seed);
    EXPECT_LT(AttentionError(*random.model().Load(), random, 0, 32), 1e-5) << "decoder " << seed;
  }
}

// Rounds every weight to bfloat16, which then is no cause of difference.
TestModel WithShortWeights(TestModel model) {
  for (auto& [name, tensor] : model.source->tensors()) {
    for (size_t i = 0; i < tensor.bytes.size(); i += sizeof(float)) {
      float value;
      std::memcpy(&value, &tensor.bytes[i], sizeof(value));
      value = c10::BFloat16(value);
      std::memcpy(&tensor.bytes[i], &value, sizeof(value));
    }
  }
  return model;
}

// With smaller weights: what rounding does to a probability grows with the scores.
TEST(ReferenceTest, RandomDecodersInBFloat16StayNearThePlainLoops) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    const RandomCase random(WithShortWeights(RandomWeightsFor(RandomDecoder(seed), kGain / 2, seed)), seed);
    const std::unique_ptr<Model> model = random.model().Load({.dtype = DType::kBFloat16});
    EXPECT_LT(AttentionError(*model, random, 0, 0), 2e-2) << "decoder " << seed;
    EXPECT_LT(AttentionError(*model, random, 0, 32), 2e-2) << "decoder " << seed;
  }
}

// 30 targets are dense for the short prompts and sparse for the long one, so both attention paths take part.
std::vector<double> ExpectedSums(const RandomCase& random, size_t n_groups) {
  const size_t n_heads = static_cast<size_t>(random.spec().n_heads);
  const size_t n_prompts = random.expected().size();
  std::vector<double> sums(static_cast<size_t>(random.spec().n_layers) * n_groups * n_prompts * n_heads, 0.0);
  for (size_t prompt = 0; prompt < n_prompts; ++prompt) {
    const size_t length = random.prompts().tokens[prompt].size();
    const std::vector<std::vector<double>>& attention = random.expected()[prompt].attention;
    for (size_t layer = 0; layer < attention.size(); ++layer) {
      for (const ReadoutTarget& target : random.prompts().targets[prompt]) {
        for (size_t head = 0; head < n_heads; ++head) {
          sums[((layer * n_prompts + prompt) * n_groups + target.group) * n_heads + head] +=
              target.weight * attention[layer][(head * length + target.query) * length + target.key];
        }
      }
    }
  }
  return sums;
}

TEST(ReferenceTest, WeightedSumsOfRandomDecodersEqualThePlainLoopsAlsoWhereLayersAreStreamed) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    SCOPED_TRACE(seed);
    const RandomCase random(seed);
    const Pass pass = {.prompts = random.prompts().View(), .n_groups = 3};
    const absl::StatusOr<std::vector<double>> sums = CollectSums(*random.model().Load(), pass);
    ASSERT_TRUE(sums.ok()) << sums.status();
    const std::vector<double> expected = ExpectedSums(random, 3);
    ASSERT_EQ(sums->size(), expected.size());
    // of about 30 weights of up to 2
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR((*sums)[i], expected[i], 2e-4) << "entry " << i;

    random.model().source->ForgetReads();
    EXPECT_EQ(*CollectSums(*random.model().Load({.stream_layers = true}), pass), *sums);
    for (const auto& [name, count] : random.model().source->reads()) EXPECT_EQ(count, 1) << name;
  }
}

TEST(ReferenceTest, ResidualStreamsOfRandomDecodersEqualThePlainLoops) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    SCOPED_TRACE(seed);
    const RandomCase random(seed);
    const absl::StatusOr<ResidualStreams> streams =
        CollectResiduals(*random.model().Load(), random.WithoutTargets());
    ASSERT_TRUE(streams.ok()) << streams.status();
    ASSERT_EQ(streams->size(), 3u * static_cast<size_t>(random.spec().n_layers + 1));
    for (const auto& [key, values] : *streams) {
      const auto [layer, prompt] = key;
      const std::vector<double>& expected = random.expected()[prompt].residual[layer];
      ASSERT_EQ(values.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(values[i], expected[i], Tolerance(expected[i]))
            << "layer " << layer << ", prompt " << prompt << ", value " << i;
      }
    }
  }
}

TEST(ReferenceTest, HeadOutputsOfRandomDecodersEqualThePlainLoops) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    SCOPED_TRACE(seed);
    const RandomCase random(seed);
    const absl::StatusOr<HeadOutputTotals> totals =
        CollectHeadOutputs(*random.model().Load(), random.WithoutTargets());
    ASSERT_TRUE(totals.ok()) << totals.status();
    const auto width = static_cast<size_t>(random.spec().n_heads * random.spec().d_head);
    for (size_t i = 0; i < totals->sums.size(); ++i) {
      double expected = 0;
      for (const ReferenceRun& run : random.expected()) {
        const std::vector<double>& outputs = run.head_outputs[i / width];
        for (size_t at = i % width; at < outputs.size(); at += width) expected += outputs[at];
      }
      ASSERT_NEAR(totals->sums[i], expected, 1e-3) << i;  // over 43 positions
    }
  }
}

void ExpectPredictions(const RandomCase& random, const AblationPass& pass) {
  const absl::StatusOr<Predictions> predictions = CollectPredictions(*random.model().Load(), pass);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  for (const auto& [key, values] : *predictions) {
    const std::vector<int32_t>& tokens = random.prompts().tokens[key.second];
    const ReferenceRun run =
        RunReference(random.spec(), random.model().source->tensors(), tokens,
                     {.heads = pass.variants[key.first],
                      .vectors = std::vector<float>(pass.replacement.begin(), pass.replacement.end())});
    ASSERT_EQ(values.size(), tokens.size() - 1);
    for (size_t t = 0; t < values.size(); ++t) {
      const std::vector<double>& logits = run.logits[t];
      const double nll = NegativeLogLikelihood(logits, tokens[t + 1]);
      ASSERT_NEAR(values[t].nll, nll, Tolerance(nll)) << "variant " << key.first << ", position " << t;
      EXPECT_EQ(values[t].correct, logits[tokens[t + 1]] >= *std::max_element(logits.begin(), logits.end()));
    }
  }
}

TEST(ReferenceTest, PredictionsOfRandomDecodersEqualThePlainLoopsAlsoWithHeadsAblated) {
  for (uint32_t seed = 0; seed < kDecoders; ++seed) {
    SCOPED_TRACE(seed);
    const RandomCase random(seed);
    std::mt19937 draws(seed);
    const auto last_head = static_cast<uint32_t>(random.spec().n_heads - 1);
    const auto last_layer = static_cast<uint32_t>(random.spec().n_layers - 1);
    AblationPass pass = {.prompts = {}, .variants = {{}, {{0, last_head}}, {{last_layer, 0}}}};
    for (const std::vector<int32_t>& tokens : random.prompts().tokens) pass.prompts.emplace_back(tokens);
    ExpectPredictions(random, pass);

    std::normal_distribution<float> normal(0.5f, 1.0f);
    std::vector<float> vectors(
        static_cast<size_t>(random.spec().n_layers * random.spec().n_heads * random.spec().d_head));
    for (float& value : vectors) value = normal(draws);
    pass.replacement = vectors;
    ExpectPredictions(random, pass);
  }
}

}  // namespace
}  // namespace induct::engine
