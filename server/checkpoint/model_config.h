// What config.json files of all families share: limits of sizes and the words for activations. ParseConfig
// (checkpoint.h) picks the family; families/ holds one file of names and shapes each.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

// Beyond any model there is, and small enough that no product of two sizes overflows.
inline constexpr int64_t kMaxLayers = 10'000;
inline constexpr int64_t kMaxWidth = int64_t{1} << 20;  // d_model, d_mlp, heads
inline constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
inline constexpr int64_t kMaxPositions = int64_t{1} << 24;
inline constexpr int64_t kMaxTensorSize = int64_t{1} << 40;  // numbers in one tensor

// Reads the keys that families of this kind spell alike: num_hidden_layers, num_attention_heads, hidden_size,
// intermediate_size, vocab_size, max_position_embeddings, bos_token_id; and sets d_head.
absl::Status ReadSizes(const JsonFields& config, DecoderSpec& spec);

// `hidden_act` by the word that transformers uses for it.
absl::StatusOr<Activation> ReadActivation(const JsonFields& config);

}  // namespace induct::checkpoint
