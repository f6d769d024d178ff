// server/checkpoint reads a model's folder in the Hugging Face layout: config.json, tokenizer.json,
// model*.safetensors or pytorch_model*.bin. Must not know: devices, tensors' mathematics, jobs, gRPC, what
// prompts are for.
//
// Everything in such a folder may be hostile or broken: every bound is checked before it is used, and what is
// wrong comes back as FAILED_PRECONDITION with reason BAD_CHECKPOINT (or UNSUPPORTED_MODEL) naming the file
// and the thing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "common/dtype.h"
#include "server/checkpoint/tokenizer.h"
#include "server/checkpoint/weight_files.h"

namespace induct::checkpoint {

// A checkpoint folder, opened: its configuration is parsed and its weight files' headers checked, no weights
// are read. The folder's files may be links, as in the snapshots of the hub's cache. Immutable after Open and
// safe for concurrent use.
class Checkpoint {
 public:
  // NOT_FOUND where `directory` holds no config.json; FAILED_PRECONDITION as above.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& directory);

  // The decoder, with tensors named as the weight files name them: with or without the family's prefix.
  const DecoderSpec& spec() const { return spec_; }
  const WeightFiles& weights() const { return *weights_; }

  // Names, within the folder, of the files that make this checkpoint what it is: config.json, tokenizer.json
  // and tokenizer_config.json (which need not be there), and the weight files, an index of shards included.
  std::vector<std::string> files() const;

  // The dtype that most of the weights that the spec names are stored in.
  DType stored_dtype() const;
  // Parameters in the tensors that the spec names, and the bytes that they take as they are stored.
  int64_t n_parameters() const;
  int64_t stored_bytes() const;

  // The id that begins a text: the bos_token of tokenizer_config.json where `tokenizer` (may be null) knows
  // it, else the one that the tokenizer's template begins with, else the bos_token_id of config.json, else
  // -1; always below the vocabulary's size. FAILED_PRECONDITION where tokenizer_config.json is broken. Reads
  // that small file; spec().bos_token_id is config.json's alone.
  absl::StatusOr<int64_t> BosTokenId(const Tokenizer* tokenizer) const;

  // Whether there is a tokenizer.json. A folder without one serves TOKENS prompts only.
  bool has_tokenizer() const;
  // Reads and builds the tokenizer; costs some tenths of a second for large vocabularies, so keep it.
  // FAILED_PRECONDITION (NO_TOKENIZER) where there is none.
  absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer() const;

  // SHA-256 over the sorted lines "<sha256>  <file name>\n" of those files() that are there,
  // tokenizer_config.json apart. Reads every file once: seconds for large models.
  absl::StatusOr<std::string> Sha256() const;

 private:
  Checkpoint() = default;

  std::string directory_;
  DecoderSpec spec_;
  std::unique_ptr<WeightFiles> weights_;
};

// What a folder's config.json says, whether or not there are weights.
struct ConfigSummary {
  DecoderSpec spec;
  std::optional<DType> dtype;  // that it says weights are stored in, where that is one of ours
};

// NOT_FOUND where `directory` holds no config.json; FAILED_PRECONDITION as ParseConfig.
absl::StatusOr<ConfigSummary> ReadConfig(const std::string& directory);

// As Checkpoint::LoadTokenizer, of a folder that need not have weights.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizerOf(const std::string& directory);

// Parses config.json text into a spec, names of tensors included. FAILED_PRECONDITION (UNSUPPORTED_MODEL)
// naming an unknown model_type, activation or rope type; BAD_CHECKPOINT for sizes that are zero, huge (see
// model_config.h) or do not fit each other.
absl::StatusOr<DecoderSpec> ParseConfig(std::string_view json);

}  // namespace induct::checkpoint
