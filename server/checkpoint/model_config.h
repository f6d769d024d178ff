// What config.json files of all families share: sizes and their limits, activations, the refusal of what no
// family has. ParseConfig (checkpoint.h) picks the family; families/ holds one file of names and shapes each.
// Keys and what their absence means are those of transformers' configuration classes.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {

// Beyond any model there is, and small enough that no product of three sizes overflows.
inline constexpr int64_t kMaxLayers = 10'000;
inline constexpr int64_t kMaxWidth = int64_t{1} << 20;  // d_model, d_head, d_mlp, heads
inline constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
inline constexpr int64_t kMaxPositions = int64_t{1} << 24;
inline constexpr int64_t kMaxTensorSize = int64_t{1} << 40;  // numbers in one tensor

// What a family calls its sizes.
struct SizeKeys {
  const char* n_layers = "num_hidden_layers";
  const char* n_heads = "num_attention_heads";
  const char* d_model = "hidden_size";
  const char* max_positions = "max_position_embeddings";
};

// Reads the sizes that every family names, vocab_size and bos_token_id. Sets n_kv_heads to n_heads.
absl::Status ReadSizes(const JsonFields& config, const SizeKeys& keys, DecoderSpec& spec);

// Sets d_head to d_model / n_heads. BAD_CHECKPOINT where that is no whole number.
absl::Status DivideIntoHeads(const JsonFields& config, const SizeKeys& keys, DecoderSpec& spec);

// The activation under `key` by the word that transformers uses for it; absent: `fallback`, such a word.
absl::StatusOr<Activation> ReadActivation(const JsonFields& config, const char* key, const char* fallback);

// What a norm adds to the variance: between 0 and 1.
absl::StatusOr<double> ReadNormEpsilon(const JsonFields& config, const char* key, double fallback);

// UNSUPPORTED_MODEL where `key` is there and not `only`.
absl::Status RefuseFlagOtherThan(const JsonFields& config, const char* key, bool only);

}  // namespace induct::checkpoint
