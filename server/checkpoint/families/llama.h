// Llama (Touvron et al. 2023): Llama 2 and 3.x, SmolLM2 and all else whose model_type is llama; Mistral; and
// what families of the same plan leave open.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

absl::StatusOr<DecoderSpec> ParseLlama(const JsonFields& config);
absl::StatusOr<DecoderSpec> ParseMistral(const JsonFields& config);

// What a family built on Llama's plan chooses.
struct LlamaChoices {
  int64_t default_kv_heads = 0;  // where num_key_value_heads is absent; 0: as many as heads
  int64_t default_d_head = 0;    // where head_dim is absent; 0: d_model / n_heads
  bool qkv_bias = false;
  bool attention_output_bias = false;
  bool mlp_bias = false;
  bool query_key_norm = false;
};

// Everything but the sliding window, which each family words differently.
absl::StatusOr<DecoderSpec> ParseLlamaPlan(const JsonFields& config, const LlamaChoices& choices);

}  // namespace induct::checkpoint
