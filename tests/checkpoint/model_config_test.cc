#include <gtest/gtest.h>

#include "server/checkpoint/checkpoint.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

absl::StatusOr<DecoderSpec> Parse(const json& config) { return ParseConfig(config.dump()); }

absl::StatusOr<DecoderSpec> ParseWith(const std::string& key, const json& value) {
  json config = TinyConfig();
  config[key] = value;
  return Parse(config);
}

TEST(ModelConfig, ReadsSizesAndNamesOfGptNeox) {
  const auto spec = Parse(TinyConfig());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->architecture, "gpt_neox");
  EXPECT_EQ(spec->n_layers, 2);
  EXPECT_EQ(spec->n_heads, 2);
  EXPECT_EQ(spec->d_model, 8);
  EXPECT_EQ(spec->d_head, 4);
  EXPECT_EQ(spec->d_mlp, 16);
  EXPECT_EQ(spec->vocab_size, 11);
  EXPECT_EQ(spec->max_positions, 64);
  EXPECT_EQ(spec->bos_token_id, 0);
  EXPECT_DOUBLE_EQ(spec->norm_epsilon, 1e-5);
  EXPECT_TRUE(spec->parallel_residual);
  ASSERT_EQ(spec->layers.size(), 2u);
  EXPECT_EQ(spec->layers[1].mlp_output.weight.name, "gpt_neox.layers.1.mlp.dense_4h_to_h.weight");
  EXPECT_EQ(spec->layers[1].mlp_output.weight.shape, (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(spec->unembedding.name, "embed_out.weight");
}

TEST(ModelConfig, ReadsRotaryEmbeddingInBothSpellings) {
  const auto recent = Parse(TinyConfig());
  ASSERT_TRUE(recent.ok());
  EXPECT_EQ(recent->rotary_dims, 2);
  EXPECT_DOUBLE_EQ(recent->rotary_base, 5000);
  json config = TinyConfig();
  config.erase("rope_parameters");
  config.update({{"rotary_pct", 1.0}, {"rotary_emb_base", 10000}, {"rope_scaling", nullptr}});
  const auto older = Parse(config);
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->rotary_dims, 4);
  EXPECT_DOUBLE_EQ(older->rotary_base, 10000);
}

TEST(ModelConfig, AssumesAQuarterRotaryAndBase10000WhereNothingIsSaid) {
  json config = TinyConfig();
  config.erase("rope_parameters");
  config["hidden_size"] = 16;
  const auto spec = Parse(config);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->rotary_dims, 2);
  EXPECT_DOUBLE_EQ(spec->rotary_base, 10000);
}

TEST(ModelConfig, ReadsChoices) {
  EXPECT_FALSE(ParseWith("use_parallel_residual", false)->parallel_residual);
  EXPECT_EQ(ParseWith("hidden_act", "gelu")->activation, Activation::kGeluExact);
  for (const char* name : {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"}) {
    EXPECT_EQ(ParseWith("hidden_act", name)->activation, Activation::kGeluTanh) << name;
  }
  EXPECT_EQ(ParseWith("tie_word_embeddings", true)->unembedding.name, "gpt_neox.embed_in.weight");
  EXPECT_EQ(ParseWith("bos_token_id", 11)->bos_token_id, -1);
  EXPECT_EQ(ParseWith("bos_token_id", nullptr)->bos_token_id, -1);
}

TEST(ModelConfig, NamesWhatItDoesNotSupport) {
  ExpectUnsupported(ParseWith("model_type", "llama").status(), "'llama'");
  ExpectUnsupported(ParseWith("hidden_act", "quick_gelu").status(), "'quick_gelu'");
  ExpectUnsupported(ParseWith("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}).status(), "'linear'");
  ExpectUnsupported(ParseWith("rope_parameters", {{"rope_type", "yarn"}}).status(), "'yarn'");
  ExpectUnsupported(ParseWith("attention_bias", false).status(), "attention_bias");
  ExpectUnsupported(ParseWith("quantization_config", {{"bits", 4}}).status(), "quantization_config");
}

TEST(ModelConfig, RefusesSizesThatAreMissingZeroHugeOrNoWholeNumbers) {
  for (const char* key : {"num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size",
                          "vocab_size", "max_position_embeddings"}) {
    for (const json& value :
         {json(0), json(-1), json(1 << 30), json(9223372036854775807), json(18446744073709551615u), json(8.0),
          json(8.5), json("8"), json(true), json(json::array({8})), json(nullptr)}) {
      ExpectBroken(ParseWith(key, value).status(), key);
    }
  }
  ExpectBroken(ParseWith("num_hidden_layers", 10'001).status(), "num_hidden_layers");
}

TEST(ModelConfig, RefusesSizesThatDoNotFitEachOther) {
  ExpectBroken(ParseWith("num_attention_heads", 3).status(),
               "num_attention_heads 3 does not divide hidden_size 8");
  ExpectBroken(ParseWith("rope_parameters", {{"partial_rotary_factor", 0.25}}).status(),
               "1 rotary dimensions");
  ExpectBroken(ParseWith("rope_parameters", {{"partial_rotary_factor", 1.5}}).status(),
               "partial_rotary_factor");
  ExpectBroken(ParseWith("rope_parameters", {{"partial_rotary_factor", -0.5}}).status(),
               "partial_rotary_factor");
  ExpectBroken(ParseWith("rope_parameters", {{"rope_theta", 0}}).status(), "rope_theta");
  ExpectBroken(ParseWith("rope_parameters", {{"rope_theta", "big"}}).status(), "rope_theta");
  ExpectBroken(ParseWith("rope_parameters", 3).status(), "rope_parameters");
  ExpectBroken(ParseWith("layer_norm_eps", 0).status(), "layer_norm_eps");
  json config = TinyConfig();
  config.update({{"hidden_size", 1 << 20}, {"num_attention_heads", 1 << 10}});
  ExpectBroken(Parse(config).status(), "2^40");
}

TEST(ModelConfig, RefusesTextThatIsNoObject) {
  for (const char* text :
       {"", "[]", "null", "{", "3", R"({"model_type":"gpt_neox","model_type":"gpt_neox"})"}) {
    ExpectBroken(ParseConfig(text).status(), "config.json");
  }
  ExpectBroken(ParseConfig("{}").status(), "model_type is missing");
  ExpectBroken(ParseConfig(std::string(200'000, '[')).status(), "nested deeper");
}

}  // namespace
}  // namespace induct::checkpoint
