// What a tokenizer.json says, read and checked: plain data that the parts of the tokenizer are built from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace induct::checkpoint {

// An entry of "added_tokens": a text that is found as a whole, before byte-pair encoding sees it.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and behind it
  bool normalized = false;   // looked for in normalised text, else in the raw one
};

struct TokenizerDefinition {
  bool nfc = false;
  bool add_prefix_space = false;
  bool split_words = true;  // pre_tokenizer's use_regex
  std::string unk_token;    // stands for bytes that the vocabulary lacks; empty: they are dropped
  absl::flat_hash_map<std::string, int32_t> vocabulary;     // as written, in the byte alphabet
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::vector<AddedToken> added_tokens;
};

// FAILED_PRECONDITION: UNSUPPORTED_MODEL naming what induct does not implement, BAD_CHECKPOINT for what is
// broken. Not checked: that merges and added tokens fit the vocabulary, which those who build on them see.
absl::StatusOr<TokenizerDefinition> ParseTokenizerJson(std::string_view text);

}  // namespace induct::checkpoint
