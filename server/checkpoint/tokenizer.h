// Byte-level BPE from a tokenizer.json, exactly as the Hugging Face `tokenizers` package runs it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::checkpoint {

// Immutable after Parse and safe for concurrent use.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Reads the text of a tokenizer.json: normaliser NFC or none; pre-tokeniser ByteLevel, or a Sequence of
  // Split and Digits that ends with ByteLevel; model BPE with merges as strings or pairs; added tokens;
  // decoder ByteLevel; post-processor ByteLevel, TemplateProcessing, both or none. Takes no more memory than
  // the text and 64 MB. FAILED_PRECONDITION: UNSUPPORTED_MODEL naming what is not supported (model Unigram,
  // byte_fallback, a regular expression's construct, ...), BAD_CHECKPOINT for broken JSON, ids or merges.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(std::string_view json);

  // Ids of `text` without special tokens added. INVALID_ARGUMENT: text that is no valid UTF-8, has more than
  // 1 GiB, or a word (what the tokenizer does not split) of more than 4 MiB. RESOURCE_EXHAUSTED: a regular
  // expression of the file that exceeds its match limit, or takes more than 5 s and 1 s a megabyte.
  virtual absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text) const = 0;

  // The bytes that the ids stand for, added tokens as their content; not always valid UTF-8. Unknown ids are
  // skipped.
  virtual std::string Decode(std::span<const int32_t> ids) const = 0;

  // Highest id + 1.
  virtual int32_t size() const = 0;

  // Ids that are ordinary: in the model's vocabulary and no added token. Rising.
  virtual const std::vector<int32_t>& ordinary_ids() const = 0;

  // The id of the added or ordinary token whose content is exactly `token`.
  virtual std::optional<int32_t> Find(std::string_view token) const = 0;

  // The special token that the file's template for one text begins with (Llama 3's begin of text), which
  // Encode does not add.
  virtual std::optional<int32_t> bos_id() const = 0;
};

}  // namespace induct::checkpoint
