// Passes of several variants: against the plain loops, and what they promise whatever way they are cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/engine/pass_results.h"
#include "tests/engine/reference_decoder.h"
#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

const std::vector<int> kVariantLengths = {12, 40, 1, 12, 33, 2, 7};

// No head, heads of one layer, of several, the last layer's, all of a layer; two that begin in the same
// layer.
const std::vector<std::vector<Head>> kVariants = {
    {{2, 1}}, {}, {{0, 1}}, {{1, 0}, {1, 1}}, {{2, 0}, {0, 0}}, {{1, 1}, {2, 1}}};

std::vector<float> RandomVectors(const DecoderSpec& spec, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.5f, 1.0f);
  std::vector<float> vectors(static_cast<size_t>(spec.n_layers * spec.d_model));
  for (float& value : vectors) value = normal(random);
  return vectors;
}

bool IsHighest(const std::vector<double>& logits, int32_t token) {
  return logits[static_cast<size_t>(token)] >= *std::max_element(logits.begin(), logits.end());
}

class VariantPassTest : public testing::TestWithParam<bool> {
 protected:
  static DecoderSpec Sizes() {
    DecoderSpec sizes = SmallSizes();
    sizes.parallel_residual = GetParam();
    return sizes;
  }

  const TestModel test_model_ = RandomModel(Sizes(), 5);
  const TestPrompts prompts_ = RandomPrompts(test_model_.spec, kVariantLengths, 0, 1, 6);
  const std::vector<float> vectors_ = RandomVectors(test_model_.spec, 7);

  AblationPass AllVariants() const {
    AblationPass pass = {.prompts = {}, .variants = kVariants, .replacement = {}, .first_position = 1};
    for (const std::vector<int32_t>& tokens : prompts_.tokens) pass.prompts.emplace_back(tokens);
    return pass;
  }

  AblationPass AllVariantsByMeans() const {
    AblationPass pass = AllVariants();
    pass.replacement = vectors_;
    return pass;
  }

  static Predictions Run(Model& model, const AblationPass& pass) {
    absl::StatusOr<Predictions> predictions = CollectPredictions(model, pass);
    EXPECT_TRUE(predictions.ok()) << predictions.status();
    return *std::move(predictions);
  }

  static void ExpectNear(const std::vector<Prediction>& a, const std::vector<Prediction>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_NEAR(a[i].nll, b[i].nll, 1e-5) << i;
      EXPECT_EQ(a[i].correct, b[i].correct) << i;
    }
  }

  static void ExpectNear(const Predictions& a, const Predictions& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [key, values] : a) {
      SCOPED_TRACE(testing::Message() << "variant " << key.first << ", prompt " << key.second);
      ExpectNear(values, b.at(key));
    }
  }

  void ExpectReference(const TestModel& test_model, const AblationPass& pass) const {
    const Predictions predictions = Run(*test_model.Load(), pass);
    int n_correct = 0, n_wrong = 0;
    for (const auto& [key, values] : predictions) {
      const std::span<const int32_t> tokens = pass.prompts[key.second];
      const auto first = static_cast<size_t>(pass.first_position);
      ASSERT_EQ(values.size(), tokens.size() > first ? tokens.size() - 1 - first : 0);
      const ReferenceRun run =
          RunReference(test_model.spec, test_model.source->tensors(), tokens,
                       {.heads = pass.variants[key.first],
                        .vectors = std::vector<float>(pass.replacement.begin(), pass.replacement.end()),
                        .first_position = first});
      for (size_t i = 0; i < values.size(); ++i) {
        const std::vector<double>& logits = run.logits[first + i];
        // float32 over three layers
        ASSERT_NEAR(values[i].nll, NegativeLogLikelihood(logits, tokens[first + i + 1]), 1e-4)
            << "variant " << key.first << ", prompt " << key.second << ", prediction " << i;
        ASSERT_EQ(values[i].correct, IsHighest(logits, tokens[first + i + 1]));
        ++(values[i].correct ? n_correct : n_wrong);
      }
    }
    EXPECT_GT(n_correct, 5);
    EXPECT_GT(n_wrong, 5);
  }
};

INSTANTIATE_TEST_SUITE_P(ResidualForms, VariantPassTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "parallel" : "sequential"; });

TEST_P(VariantPassTest, ZeroAblationEqualsThePlainLoops) { ExpectReference(test_model_, AllVariants()); }

TEST_P(VariantPassTest, MeanAblationEqualsThePlainLoops) {
  for (const int64_t first_position : {0, 1, 5, 100}) {
    AblationPass pass = AllVariantsByMeans();
    pass.first_position = first_position;
    if (first_position == 100) {
      for (const auto& [key, values] : Run(*test_model_.Load(), pass)) EXPECT_TRUE(values.empty());
    } else {
      ExpectReference(test_model_, pass);
    }
  }
}

TEST_P(VariantPassTest, AnUnembeddingTiedToTheEmbeddingIsThatTensor) {
  TestModel tied = RandomModel(Sizes(), 5);
  tied.spec.unembedding = tied.spec.token_embedding;
  ExpectReference(tied, AllVariants());
  EXPECT_EQ(tied.source->reads().at("gpt_neox.embed_in.weight"), 1);
  EXPECT_EQ(tied.source->reads().count("embed_out.weight"), 0u);
}

TEST_P(VariantPassTest, EachVariantGivesWhatItGivesAlone) {
  const std::unique_ptr<Model> model = test_model_.Load();
  for (const AblationPass& pass : {AllVariants(), AllVariantsByMeans()}) {
    const Predictions together = Run(*model, pass);
    for (size_t variant = 0; variant < kVariants.size(); ++variant) {
      AblationPass alone = pass;
      alone.variants = {kVariants[variant]};
      for (const auto& [key, values] : Run(*model, alone)) {
        ExpectNear(values, together.at({static_cast<int64_t>(variant), key.second}));
      }
    }
  }
}

TEST_P(VariantPassTest, EmptyVariantsAreAlikeAndDifferFromAblatedOnes) {
  AblationPass pass = AllVariants();
  pass.variants = {{}, {{1, 0}}, {}};
  const Predictions predictions = Run(*test_model_.Load(), pass);
  for (int64_t prompt = 0; prompt < static_cast<int64_t>(kVariantLengths.size()); ++prompt) {
    const std::vector<Prediction>& unablated = predictions.at({0, prompt});
    for (size_t i = 0; i < unablated.size(); ++i) {
      EXPECT_EQ(unablated[i].nll, predictions.at({2, prompt})[i].nll);
      EXPECT_NE(unablated[i].nll, predictions.at({1, prompt})[i].nll);
    }
  }
}

TEST_P(VariantPassTest, BatchSizesAndWavesDoNotChangePredictions) {
  const std::unique_ptr<Model> model = test_model_.Load();
  const Predictions expected = Run(*model, AllVariantsByMeans());
  for (const int64_t batch_size : {1, 3, 4096}) {
    AblationPass pass = AllVariantsByMeans();
    pass.batch_size = batch_size;
    ExpectNear(Run(*model, pass), expected);
  }
  for (const int64_t budget : {1, 50 * 16 * 4 * 6, 100 * 16 * 4 * 6}) {
    AblationPass pass = AllVariantsByMeans();
    pass.activation_budget = budget;
    ExpectNear(Run(*model, pass), expected);
  }
}

TEST_P(VariantPassTest, TheBudgetHoldsTheStreamsOfAllVariants) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  AblationPass pass = AllVariants();
  const int64_t n_tokens = std::accumulate(kVariantLengths.begin(), kVariantLengths.end(), int64_t{0});
  const int64_t all_streams = n_tokens * 16 * 4 * static_cast<int64_t>(kVariants.size());
  const std::string tensor = test_model_.spec.layers[0].qkv[0].weight.name;
  for (const auto& [budget, waves] : std::map<int64_t, int>{{all_streams, 1}, {all_streams - 1, 2}}) {
    pass.activation_budget = budget;
    test_model_.source->ForgetReads();
    Run(*model, pass);
    EXPECT_EQ(test_model_.source->reads().at(tensor), waves);
  }
}

// Of the longest prompt (40 tokens) a stream takes 40 * 16 * 4 bytes. There are 5 ablated variants, and waves
// for 6 streams: with room for 3 streams of the longest, of 20 tokens or one prompt, which are 5 waves.
TEST_P(VariantPassTest, VariantsWhoseStreamsOfOnePromptExceedTheBudgetRunInGroups) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  AblationPass pass = AllVariantsByMeans();
  pass.batch_size = 1;  // so that rounding does not depend on what is run together
  const Predictions expected = Run(*model, pass);
  const std::string tensor = test_model_.spec.layers[0].qkv[0].weight.name;
  const int64_t stream = 40 * 16 * 4;
  for (const auto& [budget, reads] : std::map<int64_t, int>{{3 * stream, 3 * 5}, {1, 5 * 7}}) {
    pass.activation_budget = budget;
    std::vector<double> shares;
    pass.on_progress = [&](double share) { shares.push_back(share); };
    test_model_.source->ForgetReads();
    const Predictions predictions = Run(*model, pass);
    EXPECT_EQ(test_model_.source->reads().at(tensor), reads);
    ASSERT_EQ(predictions.size(), expected.size());
    for (const auto& [key, values] : predictions) {
      ASSERT_EQ(values.size(), expected.at(key).size());
      for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i].nll, expected.at(key)[i].nll);
    }
    EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
    EXPECT_DOUBLE_EQ(shares.back(), 1);
    EXPECT_LT(shares[shares.size() - 2], 1);
  }
}

TEST_P(VariantPassTest, AStreamedPassReadsEachTensorOnceAWaveWithTheSamePredictions) {
  const std::unique_ptr<Model> model = test_model_.Load({.stream_layers = true});
  test_model_.source->ForgetReads();
  AblationPass pass = AllVariants();
  pass.batch_size = 2;
  const Predictions streamed = Run(*model, pass);
  EXPECT_EQ(test_model_.source->reads().size(), 3u * 12 + 4);  // with embedding, final norm and unembedding
  for (const auto& [name, count] : test_model_.source->reads()) EXPECT_EQ(count, 1) << name;

  for (const auto& [key, values] : Run(*test_model_.Load(), pass)) {
    for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i].nll, streamed.at(key)[i].nll);
  }
}

TEST_P(VariantPassTest, StopEndsThePassBeforeTheNextMicroBatch) {
  const std::unique_ptr<Model> model = test_model_.Load();
  for (const int last : {1, 3, 30, 80}) {
    std::stop_source stop;
    int micro_batches = 0;
    AblationPass pass = AllVariants();
    pass.batch_size = 1;
    pass.on_progress = [&](double) {
      if (++micro_batches == last) stop.request_stop();
    };
    EXPECT_EQ(CollectPredictions(*model, pass, stop.get_token()).status().code(),
              absl::StatusCode::kCancelled);
    EXPECT_EQ(micro_batches, last);
  }
}

TEST_P(VariantPassTest, ProgressRisesToOne) {
  const std::unique_ptr<Model> model = test_model_.Load();
  for (const bool with_unablated : {true, false}) {
    AblationPass pass = AllVariants();
    if (!with_unablated) pass.variants = {{{1, 0}}, {{0, 1}, {2, 1}}};
    pass.batch_size = 3;
    pass.activation_budget = 60 * 16 * 4 * 6;
    std::vector<double> shares;
    pass.on_progress = [&](double share) { shares.push_back(share); };
    Run(*model, pass);
    EXPECT_GT(shares.front(), 0);
    EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
    EXPECT_DOUBLE_EQ(shares.back(), 1);
    EXPECT_LT(shares[shares.size() - 2], 1);
  }
}

TEST_P(VariantPassTest, ErrorsOfTheSinkAndOfTheSourceComeBack) {
  AblationPass pass = AllVariants();
  pass.on_predictions = [](const PromptPredictions&) { return absl::DataLossError("sink"); };
  EXPECT_EQ(test_model_.Load()->RunVariants(pass, {}), absl::DataLossError("sink"));

  const std::unique_ptr<Model> model = test_model_.Load();
  test_model_.source->before_read = [](const std::string&) { return absl::UnavailableError("gone"); };
  EXPECT_EQ(CollectPredictions(*model, AllVariants()).status(), absl::UnavailableError("gone"));
  test_model_.source->before_read = nullptr;
  EXPECT_TRUE(CollectPredictions(*model, AllVariants()).ok());
}

// With a vocabulary so large that few rows of logits are held at a time. A position's prediction does not
// depend on what follows it.
TEST_P(VariantPassTest, ALargeVocabularyGivesPromptsTheSamePredictionsAsTheirBeginnings) {
  DecoderSpec sizes = Sizes();
  sizes.d_model = 4;
  sizes.d_head = 2;
  sizes.rotary_dims = 2;
  sizes.vocab_size = int64_t{1} << 18;
  const TestModel test_model = RandomModel(sizes, 8);
  const std::vector<int32_t> whole = RandomPrompts(test_model.spec, {64}, 0, 1, 9).tokens.front();
  AblationPass pass = {.prompts = {whole}, .variants = {{}, {{1, 0}}}, .replacement = {}};
  for (size_t length = 5; length < whole.size(); length += 10) {
    pass.prompts.push_back(std::span(whole).first(length));
  }
  const Predictions predictions = Run(*test_model.Load(), pass);
  for (const auto& [key, values] : predictions) {
    const std::vector<Prediction>& of_whole = predictions.at({key.first, 0});
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_GT(values[i].nll, 0);
      EXPECT_NEAR(values[i].nll, of_whole[i].nll, 1e-4);
    }
  }
}

TEST_P(VariantPassTest, SixteenBitModelsStayNear) {
  const Predictions expected = Run(*test_model_.Load(), AllVariantsByMeans());
  const Predictions predictions = Run(*test_model_.Load({.dtype = DType::kBFloat16}), AllVariantsByMeans());
  for (const auto& [key, values] : predictions) {
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i].nll, expected.at(key)[i].nll, 0.3);
  }
}

}  // namespace
}  // namespace induct::engine
