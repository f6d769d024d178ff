// Published models' configurations, abridged to what decides sizes and choices: the number of parameters that
// their publishers name, and what they say of positions.
#include <gtest/gtest.h>

#include "server/checkpoint/checkpoint.h"

namespace induct::checkpoint {
namespace {

struct Published {
  const char* name;
  const char* config;
  int64_t n_parameters;
  int64_t d_head;
  int64_t n_kv_heads;
  int64_t max_prompt_tokens;
  int64_t rotary_dims;
  double rotary_base;
};

constexpr Published kPublished[] = {
    {"pythia_70m",
     R"({"architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu",
         "hidden_size": 512, "initializer_range": 0.02, "intermediate_size": 2048, "layer_norm_eps": 1e-05,
         "max_position_embeddings": 2048, "model_type": "gpt_neox", "num_attention_heads": 8,
         "num_hidden_layers": 6, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false,
         "torch_dtype": "float16", "use_cache": true, "use_parallel_residual": true, "vocab_size": 50304})",
     70'426'624, 64, 8, 2048, 16, 10000},
    {"gpt2",
     R"({"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
         "bos_token_id": 50256, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024,
         "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "summary_type": "cls_index",
         "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
         "vocab_size": 50257})",
     124'439'808, 64, 12, 1024, 0, 10000},
    {"gpt2_xl",
     R"({"activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024,
         "n_embd": 1600, "n_head": 25, "n_layer": 48, "n_positions": 1024, "output_past": true,
         "vocab_size": 50257})",
     1'557'611'200, 64, 25, 1024, 0, 10000},
    {"Llama_2_7b",
     R"({"architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
         "hidden_size": 4096, "intermediate_size": 11008, "max_position_embeddings": 4096,
         "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
         "num_key_value_heads": 32, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
         "tie_word_embeddings": false, "torch_dtype": "float16", "vocab_size": 32000})",
     6'738'415'616, 128, 32, 4096, 128, 10000},
    {"Llama_3_1_8B",
     R"({"attention_bias": false, "bos_token_id": 128000, "hidden_act": "silu", "hidden_size": 4096,
         "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false,
         "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
         "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
         "rope_theta": 500000.0, "tie_word_embeddings": false, "vocab_size": 128256})",
     8'030'261'248, 128, 8, 131072, 128, 500000},
    {"Llama_3_2_1B",
     R"({"attention_bias": false, "bos_token_id": 128000, "head_dim": 64, "hidden_act": "silu",
         "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072,
         "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16,
         "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0,
         "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
         "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256})",
     1'235'814'400, 64, 8, 131072, 64, 500000},
    {"SmolLM2_135M",
     R"({"attention_bias": false, "bos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
         "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192,
         "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
         "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
         "tie_word_embeddings": true, "vocab_size": 49152})",
     134'515'008, 64, 3, 8192, 64, 100000},
    {"Mistral_7B_v0_1",
     R"({"bos_token_id": 1, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
         "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32,
         "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
         "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 32000})",
     7'241'732'096, 128, 8, 4096, 128, 10000},
    {"Mistral_7B_v0_3",
     R"({"bos_token_id": 1, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
         "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32,
         "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
         "sliding_window": null, "tie_word_embeddings": false, "vocab_size": 32768})",
     7'248'023'552, 128, 8, 32768, 128, 1000000},
    {"Qwen2_0_5B",
     R"({"attention_dropout": 0.0, "bos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896,
         "intermediate_size": 4864, "max_position_embeddings": 131072, "max_window_layers": 24,
         "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
         "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
         "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936})",
     494'032'768, 64, 2, 131072, 64, 1000000},
    {"Qwen2_5_0_5B",
     R"({"bos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864,
         "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2",
         "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
         "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "use_mrope": false,
         "use_sliding_window": false, "vocab_size": 151936})",
     494'032'768, 64, 2, 32768, 64, 1000000},
    {"Qwen3_0_6B",
     R"({"attention_bias": false, "bos_token_id": 151643, "head_dim": 128, "hidden_act": "silu",
         "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960,
         "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
         "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
         "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false,
         "vocab_size": 151936})",
     596'049'920, 128, 8, 40960, 128, 1000000},
};

class PublishedConfig : public testing::TestWithParam<Published> {};

TEST_P(PublishedConfig, HasTheSizesOfThePublishedModel) {
  const Published& published = GetParam();
  const absl::StatusOr<DecoderSpec> spec = ParseConfig(published.config);
  ASSERT_TRUE(spec.ok()) << spec.status();
  int64_t n_parameters = 0;
  for (const TensorSpec* tensor : TensorsOf(*spec)) n_parameters += CountOf(*tensor);
  EXPECT_EQ(n_parameters, published.n_parameters);
  EXPECT_EQ(spec->d_head, published.d_head);
  EXPECT_EQ(spec->n_kv_heads, published.n_kv_heads);
  EXPECT_EQ(spec->max_prompt_tokens(), published.max_prompt_tokens);
  EXPECT_EQ(spec->rotary_dims, published.rotary_dims);
  EXPECT_EQ(spec->rotary_base, published.rotary_base);
}

INSTANTIATE_TEST_SUITE_P(All, PublishedConfig, testing::ValuesIn(kPublished),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace induct::checkpoint
