#include <gtest/gtest.h>

#include "server/checkpoint/checkpoint.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

// GPT-2 of 2 layers and 2 heads of 4; only what has no default.
json TinyGpt2() {
  return {{"model_type", "gpt2"}, {"n_layer", 2},      {"n_head", 2},
          {"n_embd", 8},          {"n_positions", 64}, {"vocab_size", 11}};
}

// A model of Llama's plan: 2 layers, 4 heads of 2; only what has no default in any of its families, and the
// one key whose default is beyond these sizes.
json TinyLlama(const std::string& model_type = "llama") {
  return {{"model_type", model_type}, {"num_hidden_layers", 2},       {"num_attention_heads", 4},
          {"hidden_size", 8},         {"intermediate_size", 16},      {"vocab_size", 11},
          {"num_key_value_heads", 2}, {"max_position_embeddings", 64}};
}

absl::StatusOr<DecoderSpec> Parse(const json& config) { return ParseConfig(config.dump()); }

absl::StatusOr<DecoderSpec> ParseConfigWith(json config, const json& changes) {
  config.update(changes);
  return Parse(config);
}

absl::StatusOr<DecoderSpec> ParseConfigWithout(json config, const std::string& key) {
  config.erase(key);
  return Parse(config);
}

std::vector<std::string> NamesOf(const DecoderSpec& spec) {
  std::vector<std::string> names;
  for (const TensorSpec* tensor : TensorsOf(spec)) names.push_back(tensor->name);
  return names;
}

using Shape = std::vector<int64_t>;

TEST(ModelConfig, ReadsSizesAndNamesOfGptNeox) {
  const auto spec = Parse(TinyConfig());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->architecture, "gpt_neox");
  EXPECT_EQ(spec->n_layers, 2);
  EXPECT_EQ(spec->n_heads, 2);
  EXPECT_EQ(spec->n_kv_heads, 2);
  EXPECT_EQ(spec->d_model, 8);
  EXPECT_EQ(spec->d_head, 4);
  EXPECT_EQ(spec->d_mlp, 16);
  EXPECT_EQ(spec->vocab_size, 11);
  EXPECT_EQ(spec->max_positions, 64);
  EXPECT_EQ(spec->sliding_window, 0);
  EXPECT_EQ(spec->bos_token_id, 0);
  EXPECT_DOUBLE_EQ(spec->norm_epsilon, 1e-5);
  EXPECT_EQ(spec->norm, NormKind::kLayerNorm);
  EXPECT_EQ(spec->qkv_layout, QkvLayout::kFusedByHead);
  EXPECT_FALSE(spec->linear_weights_transposed);
  EXPECT_TRUE(spec->parallel_residual);
  ASSERT_EQ(spec->layers.size(), 2u);
  EXPECT_EQ(spec->layers[1].mlp_output.weight.name, "gpt_neox.layers.1.mlp.dense_4h_to_h.weight");
  EXPECT_EQ(spec->layers[1].mlp_output.weight.shape, (Shape{8, 16}));
  EXPECT_EQ(spec->unembedding.name, "embed_out.weight");
}

TEST(ModelConfig, ReadsSizesAndNamesOfGpt2) {
  const auto spec = Parse(TinyGpt2());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->architecture, "gpt2");
  EXPECT_EQ(spec->n_layers, 2);
  EXPECT_EQ(spec->n_heads, 2);
  EXPECT_EQ(spec->n_kv_heads, 2);
  EXPECT_EQ(spec->d_model, 8);
  EXPECT_EQ(spec->d_head, 4);
  EXPECT_EQ(spec->d_mlp, 32);
  EXPECT_EQ(spec->vocab_size, 11);
  EXPECT_EQ(spec->max_positions, 64);
  EXPECT_EQ(spec->rotary_dims, 0);
  EXPECT_EQ(spec->activation, Activation::kGeluTanh);
  EXPECT_DOUBLE_EQ(spec->norm_epsilon, 1e-5);
  EXPECT_EQ(spec->norm, NormKind::kLayerNorm);
  EXPECT_EQ(spec->qkv_layout, QkvLayout::kFusedByPart);
  EXPECT_TRUE(spec->linear_weights_transposed);
  EXPECT_FALSE(spec->parallel_residual);
  ASSERT_TRUE(spec->position_embedding.has_value());
  EXPECT_EQ(spec->position_embedding->name, "transformer.wpe.weight");
  EXPECT_EQ(spec->position_embedding->shape, (Shape{64, 8}));
  ASSERT_EQ(spec->layers.size(), 2u);
  EXPECT_EQ(spec->layers[1].qkv[0].weight.name, "transformer.h.1.attn.c_attn.weight");
  EXPECT_EQ(spec->layers[1].qkv[0].weight.shape, (Shape{8, 24}));
  EXPECT_EQ(spec->layers[1].mlp_output.weight.shape, (Shape{32, 8}));
  EXPECT_EQ(spec->unembedding.name, "transformer.wte.weight");
}

TEST(ModelConfig, ReadsSizesAndNamesOfLlama) {
  const auto spec = Parse(TinyLlama());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->architecture, "llama");
  EXPECT_EQ(spec->n_heads, 4);
  EXPECT_EQ(spec->n_kv_heads, 2);
  EXPECT_EQ(spec->d_head, 2);
  EXPECT_EQ(spec->d_mlp, 16);
  EXPECT_EQ(spec->sliding_window, 0);
  EXPECT_EQ(spec->rotary_dims, 2);
  EXPECT_DOUBLE_EQ(spec->rotary_base, 10000);
  EXPECT_FALSE(spec->rotary_scaling.has_value());
  EXPECT_EQ(spec->activation, Activation::kSilu);
  EXPECT_DOUBLE_EQ(spec->norm_epsilon, 1e-6);
  EXPECT_EQ(spec->norm, NormKind::kRmsNorm);
  EXPECT_EQ(spec->qkv_layout, QkvLayout::kSeparate);
  EXPECT_FALSE(spec->linear_weights_transposed);
  EXPECT_FALSE(spec->parallel_residual);
  EXPECT_FALSE(spec->position_embedding.has_value());
  EXPECT_EQ(spec->bos_token_id, -1);
  EXPECT_THAT(NamesOf(*spec),
              testing::UnorderedElementsAre(
                  "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
                  "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight",
                  "model.layers.0.self_attn.v_proj.weight", "model.layers.0.self_attn.o_proj.weight",
                  "model.layers.0.post_attention_layernorm.weight", "model.layers.0.mlp.gate_proj.weight",
                  "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight",
                  "model.layers.1.input_layernorm.weight", "model.layers.1.self_attn.q_proj.weight",
                  "model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.v_proj.weight",
                  "model.layers.1.self_attn.o_proj.weight", "model.layers.1.post_attention_layernorm.weight",
                  "model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight",
                  "model.layers.1.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"));
}

TEST(ModelConfig, ReadsHeadsThatDoNotFillTheModelsWidth) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    const auto spec = ParseConfigWith(TinyLlama(family), {{"head_dim", 6}, {"hidden_size", 10}});
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->d_head, 6);
    EXPECT_EQ(spec->rotary_dims, 6);
    EXPECT_EQ(spec->layers[0].qkv[0].weight.shape, (Shape{24, 10}));
    EXPECT_EQ(spec->layers[0].qkv[1].weight.shape, (Shape{12, 10}));
    EXPECT_EQ(spec->layers[0].qkv[2].weight.shape, (Shape{12, 10}));
    EXPECT_EQ(spec->layers[0].attention_output.weight.shape, (Shape{10, 24}));
    EXPECT_EQ(spec->layers[0].mlp_gate->weight.shape, (Shape{16, 10}));
    EXPECT_EQ(spec->layers[0].mlp_output.weight.shape, (Shape{10, 16}));
  }
}

TEST(ModelConfig, TakesAbsentAndNullHeadSizesAsTransformersDoes) {
  struct Case {
    const char* family;
    int64_t kv_heads_if_absent;
    int64_t d_head_if_absent;
  };
  for (const Case& c : {Case{"llama", 64, 2}, {"mistral", 8, 2}, {"qwen2", 32, 2}, {"qwen3", 32, 128}}) {
    json config = TinyLlama(c.family);
    config.update({{"num_attention_heads", 64}, {"hidden_size", 128}});
    const auto absent = ParseConfigWithout(config, "num_key_value_heads");
    ASSERT_TRUE(absent.ok()) << absent.status();
    EXPECT_EQ(absent->n_kv_heads, c.kv_heads_if_absent) << c.family;
    EXPECT_EQ(absent->d_head, c.d_head_if_absent) << c.family;
    const auto null = ParseConfigWith(config, {{"num_key_value_heads", nullptr}, {"head_dim", nullptr}});
    ASSERT_TRUE(null.ok()) << null.status();
    EXPECT_EQ(null->n_kv_heads, 64) << c.family;
    EXPECT_EQ(null->d_head, c.d_head_if_absent) << c.family;
  }
}

// Which linear layers have biases, and whether queries and keys are normalised.
TEST(ModelConfig, EachFamilyHasItsBiasesAndNorms) {
  struct Case {
    const char* family;
    json choices;
    bool qkv_bias, output_bias, mlp_bias, query_key_norm;
  };
  const json both = {{"attention_bias", true}, {"mlp_bias", true}};
  for (const Case& c : {Case{"llama", json::object(), false, false, false, false},
                        {"llama", {{"attention_bias", true}}, true, true, false, false},
                        {"llama", {{"mlp_bias", true}}, false, false, true, false},
                        {"mistral", both, false, false, false, false},
                        {"qwen2", json::object(), true, false, false, false},
                        {"qwen2", both, true, false, false, false},
                        {"qwen3", json::object(), false, false, false, true},
                        {"qwen3", both, true, true, false, true}}) {
    const auto spec = ParseConfigWith(TinyLlama(c.family), c.choices);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const LayerTensors& layer = spec->layers[1];
    for (const LinearTensors& projection : layer.qkv) EXPECT_EQ(projection.bias.has_value(), c.qkv_bias);
    EXPECT_EQ(layer.attention_output.bias.has_value(), c.output_bias);
    EXPECT_EQ(layer.mlp_gate->bias.has_value(), c.mlp_bias);
    EXPECT_EQ(layer.mlp_input.bias.has_value(), c.mlp_bias);
    EXPECT_EQ(layer.mlp_output.bias.has_value(), c.mlp_bias);
    EXPECT_EQ(layer.query_norm.has_value(), c.query_key_norm);
    EXPECT_EQ(layer.key_norm.has_value(), c.query_key_norm);
    EXPECT_FALSE(layer.attention_norm.bias.has_value());
    if (c.qkv_bias) {
      EXPECT_EQ(layer.qkv[1].bias->shape, (Shape{2 * spec->d_head}));
    }
    if (c.query_key_norm) {
      EXPECT_EQ(layer.key_norm->weight.shape, (Shape{spec->d_head}));
    }
  }
  const auto neox = ParseConfigWith(TinyConfig(), {{"attention_bias", false}});
  ASSERT_TRUE(neox.ok()) << neox.status();
  EXPECT_FALSE(neox->layers[0].qkv[0].bias.has_value());
  EXPECT_FALSE(neox->layers[0].attention_output.bias.has_value());
  EXPECT_TRUE(neox->layers[0].mlp_input.bias.has_value());
}

TEST(ModelConfig, ReadsChoices) {
  EXPECT_FALSE(ParseConfigWith(TinyConfig(), {{"use_parallel_residual", false}})->parallel_residual);
  EXPECT_EQ(ParseConfigWith(TinyGpt2(), {{"n_inner", 20}})->d_mlp, 20);
  EXPECT_EQ(ParseConfigWith(TinyGpt2(), {{"n_inner", nullptr}})->d_mlp, 32);
  EXPECT_DOUBLE_EQ(ParseConfigWith(TinyConfig(), {{"layer_norm_eps", 1e-3}})->norm_epsilon, 1e-3);
  EXPECT_DOUBLE_EQ(ParseConfigWith(TinyGpt2(), {{"layer_norm_epsilon", 1e-3}})->norm_epsilon, 1e-3);
  EXPECT_DOUBLE_EQ(ParseConfigWith(TinyLlama(), {{"rms_norm_eps", 1e-5}})->norm_epsilon, 1e-5);
  EXPECT_TRUE(ParseConfigWith(TinyGpt2(), {{"reorder_and_upcast_attn", true}}).ok());
  EXPECT_EQ(ParseConfigWith(TinyConfig(), {{"bos_token_id", 11}})->bos_token_id, -1);
  EXPECT_EQ(ParseConfigWith(TinyConfig(), {{"bos_token_id", nullptr}})->bos_token_id, -1);
  EXPECT_EQ(ParseConfigWith(TinyLlama(), {{"bos_token_id", 10}})->bos_token_id, 10);
}

TEST(ModelConfig, ReadsActivationsOfEveryFamily) {
  struct Case {
    std::vector<const char*> words;
    Activation activation;
  };
  for (const Case& c : {Case{{"gelu", "gelu_python"}, Activation::kGeluExact},
                        {{"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"},
                         Activation::kGeluTanh},
                        {{"silu", "swish"}, Activation::kSilu}}) {
    for (const char* word : c.words) {
      EXPECT_EQ(ParseConfigWith(TinyConfig(), {{"hidden_act", word}})->activation, c.activation) << word;
      EXPECT_EQ(ParseConfigWith(TinyLlama(), {{"hidden_act", word}})->activation, c.activation) << word;
      EXPECT_EQ(ParseConfigWith(TinyGpt2(), {{"activation_function", word}})->activation, c.activation) << word;
    }
  }
  EXPECT_EQ(ParseConfigWithout(TinyConfig(), "hidden_act")->activation, Activation::kGeluExact);
}

TEST(ModelConfig, TiesTheHeadAsEachFamilyDoes) {
  EXPECT_EQ(ParseConfigWith(TinyConfig(), {{"tie_word_embeddings", true}})->unembedding.name,
            "gpt_neox.embed_in.weight");
  EXPECT_EQ(ParseConfigWith(TinyGpt2(), {{"tie_word_embeddings", false}})->unembedding.name, "lm_head.weight");
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    EXPECT_EQ(Parse(TinyLlama(family))->unembedding.name, "lm_head.weight");
    EXPECT_EQ(ParseConfigWith(TinyLlama(family), {{"tie_word_embeddings", true}})->unembedding.name,
              "model.embed_tokens.weight");
  }
}

TEST(ModelConfig, ReadsRotaryEmbeddingOfGptNeoxInBothSpellings) {
  const auto recent = Parse(TinyConfig());
  ASSERT_TRUE(recent.ok());
  EXPECT_EQ(recent->rotary_dims, 2);
  EXPECT_DOUBLE_EQ(recent->rotary_base, 5000);
  json config = TinyConfig();
  config.erase("rope_parameters");
  config.update({{"rotary_pct", 1.0}, {"rotary_emb_base", 20000}, {"rope_scaling", nullptr}});
  const auto older = Parse(config);
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->rotary_dims, 4);
  EXPECT_DOUBLE_EQ(older->rotary_base, 20000);
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

json Llama3Rope(const char* type_key) {
  return {{type_key, "llama3"},
          {"factor", 8.0},
          {"low_freq_factor", 1},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", 32}};
}

TEST(ModelConfig, ReadsLlama3ScalingInEverySpelling) {
  json recent = Llama3Rope("rope_type");
  recent["rope_theta"] = 500000.0;
  for (const json& changes : {json{{"rope_theta", 500000}, {"rope_scaling", Llama3Rope("type")}},
                              json{{"rope_theta", 500000}, {"rope_scaling", Llama3Rope("rope_type")}},
                              json{{"rope_parameters", recent}},
                              json{{"rope_parameters", recent}, {"rope_scaling", json::object()}},
                              json{{"rope_parameters", recent}, {"rope_theta", 10}},
                              json{{"rope_scaling", recent}, {"rope_parameters", {{"rope_theta", 10}}}}}) {
    for (const json& tiny : {TinyLlama(), TinyLlama("mistral"), TinyLlama("qwen2"), TinyLlama("qwen3")}) {
      const auto spec = ParseConfigWith(tiny, changes);
      ASSERT_TRUE(spec.ok()) << changes << spec.status();
      EXPECT_DOUBLE_EQ(spec->rotary_base, 500000) << changes;
      ASSERT_TRUE(spec->rotary_scaling.has_value());
      EXPECT_DOUBLE_EQ(spec->rotary_scaling->factor, 8);
      EXPECT_DOUBLE_EQ(spec->rotary_scaling->low_frequency_factor, 1);
      EXPECT_DOUBLE_EQ(spec->rotary_scaling->high_frequency_factor, 4);
      EXPECT_DOUBLE_EQ(spec->rotary_scaling->original_positions, 32);
    }
  }
  const json neox = {{"rope_scaling", Llama3Rope("type")}, {"hidden_size", 16}};
  EXPECT_TRUE(ParseConfigWith(TinyConfig(), neox)->rotary_scaling.has_value());
}

TEST(ModelConfig, RefusesLlama3ScalingThatIsIncompleteOrOutOfRange) {
  struct Case {
    std::string key;
    std::vector<json> values;
    std::string naming;
  };
  const std::string positions = "original_max_position_embeddings";
  const std::vector<json> no_factors = {0, -1.5, "8", true, nullptr, json::array({1})};
  for (const Case& c : {Case{"factor", no_factors, "factor "},
                        {"low_freq_factor", no_factors, "low_freq_factor "},
                        {"low_freq_factor", {4.0, 5}, "low_freq_factor must be below high_freq_factor 4"},
                        {"high_freq_factor", no_factors, "high_freq_factor "},
                        {"high_freq_factor", {1, 0.5}, "low_freq_factor must be below high_freq_factor"},
                        {positions, {0, -1, 32.0, "32", nullptr, int64_t{1} << 40}, positions}}) {
    json rope = Llama3Rope("rope_type");
    for (const json& value : c.values) {
      rope[c.key] = value;
      ExpectBroken(ParseConfigWith(TinyLlama(), {{"rope_scaling", rope}}).status(), "rope_scaling: " + c.naming);
      ExpectBroken(ParseConfigWith(TinyLlama(), {{"rope_parameters", rope}}).status(),
                   "rope_parameters: " + c.naming);
    }
    rope.erase(c.key);
    ExpectBroken(ParseConfigWith(TinyLlama(), {{"rope_scaling", rope}}).status(), c.key + " is missing");
  }
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"rope_scaling", Llama3Rope("rope_type")}, {positions, 16}}).status(),
               positions + " contradicts");
}

TEST(ModelConfig, NamesRopeTypesThatItDoesNotSupport) {
  for (const char* type :
       {"linear", "dynamic", "yarn", "longrope", "su", "mrope", "proportional", "axial", ""}) {
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
      for (const char* type_key : {"type", "rope_type"}) {
        const json rope = {{key, {{type_key, type}, {"factor", 2.0}}}};
        const std::string quoted = "'" + std::string(type) + "' is not supported; default and llama3 are";
        ExpectUnsupported(ParseConfigWith(TinyConfig(), rope).status(), quoted);
        ExpectUnsupported(ParseConfigWith(TinyLlama(), rope).status(), quoted);
      }
    }
  }
  ExpectBroken(
      ParseConfigWith(TinyLlama(), {{"rope_scaling", {{"type", "linear"}, {"rope_type", "default"}}}}).status(),
      "rope_type 'default' contradicts type 'linear'");
  ExpectUnsupported(
      ParseConfigWith(TinyLlama("qwen3"),
                {{"rope_parameters",
                  {{"full_attention", {{"rope_theta", 1e6}}}, {"sliding_attention", {{"rope_theta", 1e4}}}}}})
          .status(),
      "'full_attention' gives some layers a rotary embedding of their own");
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    for (const json& partial :
         {json{{"partial_rotary_factor", 0.5}, {"head_dim", 8}},
          json{{"rope_parameters", {{"partial_rotary_factor", 0.5}}}, {"head_dim", 8}}}) {
      ExpectUnsupported(ParseConfigWith(TinyLlama(family), partial).status(), "partial_rotary_factor");
    }
  }
}

TEST(ModelConfig, ReadsTheSlidingWindowOfMistral) {
  EXPECT_EQ(Parse(TinyLlama("mistral"))->sliding_window, 4096);
  EXPECT_EQ(ParseConfigWith(TinyLlama("mistral"), {{"sliding_window", nullptr}})->sliding_window, 0);
  const auto spec = ParseConfigWith(TinyLlama("mistral"), {{"sliding_window", 48}});
  EXPECT_EQ(spec->sliding_window, 48);
  EXPECT_EQ(spec->max_prompt_tokens(), 48);
  for (const json& value : {json(0), json(-1), json(4.5), json("4096"), json(true), json(1 << 30)}) {
    ExpectBroken(ParseConfigWith(TinyLlama("mistral"), {{"sliding_window", value}}).status(), "sliding_window");
  }
  EXPECT_EQ(ParseConfigWith(TinyLlama("llama"), {{"sliding_window", 48}})->sliding_window, 0);
}

// Of two layers.
TEST(ModelConfig, ReadsTheSlidingWindowThatAnyLayerOfQwenHas) {
  struct Case {
    json choices;
    int64_t window;
  };
  const json sliding = {"full_attention", "sliding_attention"}, full = {"full_attention", "full_attention"};
  for (const Case& c : {
           Case{json::object(), 0},
           {{{"sliding_window", 32}, {"max_window_layers", 0}}, 0},
           {{{"use_sliding_window", false}, {"sliding_window", -7}, {"max_window_layers", 0}}, 0},
           {{{"use_sliding_window", true}, {"sliding_window", 32}}, 0},
           {{{"use_sliding_window", true}, {"sliding_window", 32}, {"max_window_layers", 2}}, 0},
           {{{"use_sliding_window", true}, {"sliding_window", 32}, {"max_window_layers", 1}}, 32},
           {{{"use_sliding_window", true}, {"sliding_window", 32}, {"max_window_layers", 0}}, 32},
           {{{"use_sliding_window", true}, {"max_window_layers", 1}}, 4096},
           {{{"use_sliding_window", true}, {"sliding_window", nullptr}, {"max_window_layers", 0}}, 0},
           {{{"use_sliding_window", true}, {"sliding_window", 32}, {"layer_types", sliding}}, 32},
           {{{"use_sliding_window", true},
             {"sliding_window", 32},
             {"max_window_layers", 0},
             {"layer_types", full}},
            0},
           {{{"layer_types", full}}, 0},
       }) {
    for (const char* family : {"qwen2", "qwen3"}) {
      const auto spec = ParseConfigWith(TinyLlama(family), c.choices);
      ASSERT_TRUE(spec.ok()) << c.choices << spec.status();
      EXPECT_EQ(spec->sliding_window, c.window) << c.choices;
    }
  }
}

TEST(ModelConfig, RefusesWindowsOfQwenThatContradictThemselves) {
  const json sliding = {"full_attention", "sliding_attention"};
  for (const char* family : {"qwen2", "qwen3"}) {
    const json tiny = TinyLlama(family);
    ExpectBroken(ParseConfigWith(tiny, {{"layer_types", sliding}}).status(), "use_sliding_window");
    ExpectBroken(
        ParseConfigWith(tiny, {{"layer_types", sliding}, {"use_sliding_window", true}, {"sliding_window", nullptr}})
            .status(),
        "there is no window");
    ExpectBroken(ParseConfigWith(tiny, {{"layer_types", {"full_attention"}}}).status(), "a list of 2 words");
    ExpectBroken(ParseConfigWith(tiny, {{"layer_types", "full_attention"}}).status(), "a list of 2 words");
    ExpectBroken(ParseConfigWith(tiny, {{"layer_types", {1, 2}}}).status(), "must hold words only");
    ExpectUnsupported(ParseConfigWith(tiny, {{"layer_types", {"full_attention", "linear_attention"}}}).status(),
                      "'linear_attention'");
    ExpectBroken(ParseConfigWith(tiny, {{"use_sliding_window", true}, {"max_window_layers", -1}}).status(),
                 "max_window_layers");
    ExpectBroken(
        ParseConfigWith(tiny, {{"use_sliding_window", true}, {"max_window_layers", 0}, {"sliding_window", 0}})
            .status(),
        "sliding_window");
    ExpectBroken(ParseConfigWith(tiny, {{"use_sliding_window", "yes"}}).status(), "use_sliding_window");
  }
}

TEST(ModelConfig, NamesWhatItDoesNotSupport) {
  const std::string known = "gpt_neox, gpt2, llama, mistral, qwen2, qwen3";
  struct Case {
    json changes;
    std::string naming;
  };
  for (const Case& c : {
           Case{{{"model_type", "bert"}}, "'bert' is not supported; induct knows " + known},
           {{{"model_type", "mixtral"}}, "'mixtral'"},
           {{{"model_type", "Llama"}}, "'Llama'"},
           {{{"quantization_config", {{"bits", 4}}}}, "quantization_config"},
           {{{"quantization_config", json::object()}}, "quantization_config"},
           {{{"compression_config", {{"format", "int"}}}}, "compression_config"},
           {{{"per_layer_config", {{"0", {{"hidden_size", 8}}}}}}, "per_layer_config"},
           {{{"is_causal", false}}, "is_causal false is not supported; true is"},
           {{{"is_encoder_decoder", true}}, "is_encoder_decoder true is not supported; false is"},
           {{{"add_cross_attention", true}}, "add_cross_attention true"},
           {{{"auto_map", {{"AutoModelForCausalLM", "modeling_x.X"}}}}, known},
           {{{"auto_map", {{"AutoModel", "modeling_x.X"}}}}, "AutoModel names code"},
       }) {
    for (const json& tiny : {TinyConfig(), TinyGpt2(), TinyLlama(), TinyLlama("mistral"), TinyLlama("qwen2"),
                             TinyLlama("qwen3")}) {
      ExpectUnsupported(ParseConfigWith(tiny, c.changes).status(), c.naming);
    }
  }
  ExpectUnsupported(Parse({{"auto_map", {{"AutoModelForCausalLM", "modeling_x.X"}}}}).status(), "auto_map");
  EXPECT_TRUE(ParseConfigWith(TinyLlama(), {{"auto_map", {{"AutoTokenizer", "tokenization_x.X"}}}}).ok());
  EXPECT_TRUE(ParseConfigWith(TinyLlama(), {{"quantization_config", nullptr}, {"is_decoder", false}}).ok());
}

TEST(ModelConfig, NamesChoicesOfAFamilyThatItDoesNotSupport) {
  ExpectUnsupported(ParseConfigWith(TinyGpt2(), {{"scale_attn_weights", false}}).status(), "scale_attn_weights");
  ExpectUnsupported(ParseConfigWith(TinyGpt2(), {{"scale_attn_by_inverse_layer_idx", true}}).status(),
                    "scale_attn_by_inverse_layer_idx true");
  for (const char* word : {"quick_gelu", "relu", "gelu_10", "xielu", ""}) {
    const std::string quoted = "'" + std::string(word) + "'";
    ExpectUnsupported(ParseConfigWith(TinyConfig(), {{"hidden_act", word}}).status(), quoted);
    ExpectUnsupported(ParseConfigWith(TinyLlama(), {{"hidden_act", word}}).status(), quoted);
    ExpectUnsupported(ParseConfigWith(TinyGpt2(), {{"activation_function", word}}).status(), quoted);
  }
}

TEST(ModelConfig, RefusesSizesThatAreMissingZeroHugeOrNoWholeNumbers) {
  struct Case {
    json config;
    std::vector<const char*> required, optional;
  };
  const std::vector<const char*> sizes = {"num_hidden_layers", "num_attention_heads",
                                          "hidden_size",       "intermediate_size",
                                          "vocab_size",        "max_position_embeddings"};
  for (const Case& c :
       {Case{TinyConfig(), sizes, {}},
        {TinyGpt2(), {"n_layer", "n_head", "n_embd", "n_positions", "vocab_size"}, {"n_inner"}},
        {TinyLlama(), sizes, {"num_key_value_heads", "head_dim"}},
        {TinyLlama("qwen3"), sizes, {"num_key_value_heads", "head_dim"}}}) {
    std::vector<const char*> keys = c.required;
    keys.insert(keys.end(), c.optional.begin(), c.optional.end());
    for (const char* key : keys) {
      for (const json& value :
           {json(0), json(-1), json(1 << 30), json(9223372036854775807), json(18446744073709551615u),
            json(8.0), json(8.5), json("8"), json(true), json(json::array({8}))}) {
        ExpectBroken(ParseConfigWith(c.config, {{key, value}}).status(), key);
      }
    }
    for (const char* key : c.required) {
      ExpectBroken(ParseConfigWith(c.config, {{key, nullptr}}).status(), std::string(key) + " is missing");
      ExpectBroken(ParseConfigWithout(c.config, key).status(), std::string(key) + " is missing");
    }
  }
  ExpectBroken(ParseConfigWith(TinyConfig(), {{"num_hidden_layers", 10'001}}).status(), "num_hidden_layers");
  EXPECT_TRUE(ParseConfigWith(TinyConfig(), {{"num_hidden_layers", 10'000}}).ok());
}

TEST(ModelConfig, RefusesSizesThatDoNotFitEachOther) {
  ExpectBroken(ParseConfigWith(TinyConfig(), {{"num_attention_heads", 3}}).status(),
               "num_attention_heads 3 does not divide hidden_size 8");
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"num_attention_heads", 6}}).status(),
               "num_attention_heads 6 does not divide hidden_size 8");
  ExpectBroken(ParseConfigWith(TinyGpt2(), {{"n_head", 3}}).status(), "n_head 3 does not divide n_embd 8");
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"num_key_value_heads", 3}}).status(),
               "num_key_value_heads 3 does not divide num_attention_heads 4");
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"num_key_value_heads", 8}}).status(), "num_key_value_heads 8");
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"head_dim", 5}}).status(), "5 rotary dimensions");
}

TEST(ModelConfig, RefusesNumbersOutOfRange) {
  for (const json& tiny : {TinyConfig(), TinyLlama()}) {
    for (const json& value : {json(0), json(-10000.0), json("big"), json(true)}) {
      ExpectBroken(ParseConfigWith(tiny, {{"rope_parameters", {{"rope_theta", value}}}}).status(), "rope_theta");
    }
    for (const json& value : {json(1.5), json(-0.5), json("all")}) {
      ExpectBroken(ParseConfigWith(tiny, {{"rope_parameters", {{"partial_rotary_factor", value}}}}).status(),
                   "partial_rotary_factor");
    }
    ExpectBroken(ParseConfigWith(tiny, {{"rope_parameters", 3}}).status(), "rope_parameters");
    ExpectBroken(ParseConfigWith(tiny, {{"rope_scaling", {{"type", 3}}}}).status(), "type");
  }
  ExpectBroken(ParseConfigWith(TinyConfig(), {{"rope_parameters", {{"partial_rotary_factor", 0.25}}}}).status(),
               "1 rotary dimensions");
  for (const json& value : {json(0), json(1), json(-1e-5), json("1e-5")}) {
    ExpectBroken(ParseConfigWith(TinyConfig(), {{"layer_norm_eps", value}}).status(), "layer_norm_eps");
    ExpectBroken(ParseConfigWith(TinyGpt2(), {{"layer_norm_epsilon", value}}).status(), "layer_norm_epsilon");
    ExpectBroken(ParseConfigWith(TinyLlama(), {{"rms_norm_eps", value}}).status(), "rms_norm_eps");
  }
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"attention_bias", 1}}).status(), "attention_bias");
  ExpectBroken(ParseConfigWith(TinyGpt2(), {{"add_cross_attention", "no"}}).status(), "add_cross_attention");
}

TEST(ModelConfig, RefusesTensorsBeyondAnyModel) {
  constexpr int64_t kWidth = 1 << 20;
  const json wide = {{"hidden_size", kWidth}, {"n_embd", kWidth}, {"vocab_size", 1 << 24}};
  for (const json& tiny : {TinyConfig(), TinyGpt2(), TinyLlama(), TinyLlama("qwen3")}) {
    ExpectBroken(ParseConfigWith(tiny, wide).status(), "2^40");
  }
  ExpectBroken(ParseConfigWith(TinyLlama(), {{"num_attention_heads", kWidth},
                                       {"num_key_value_heads", kWidth},
                                       {"head_dim", kWidth},
                                       {"hidden_size", kWidth},
                                       {"attention_bias", true}})
                   .status(),
               "q_proj.weight [1099511627776, 1048576]");
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
