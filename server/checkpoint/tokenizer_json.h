// What a tokenizer.json says, read and checked: plain data that the parts of the tokenizer are built from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/checkpoint/merge_table.h"
#include "server/checkpoint/vocabulary.h"

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

// What becomes of a pattern's matches and of the pieces between them.
enum class SplitBehavior {
  kRemoved,             // matches are dropped
  kIsolated,            // each is a piece of its own
  kMergedWithPrevious,  // a match belongs to the piece before it
  kMergedWithNext,      // or behind it
  kContiguous,          // adjacent matches are one piece
};

struct SplitDefinition {
  std::string pattern;  // in PCRE2's syntax
  std::string source;   // as the file has it
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what lies between matches counts as the match
};

// Splits one after another, each on the pieces of the one before; at last ByteLevel's own.
struct PreTokenizerDefinition {
  std::vector<SplitDefinition> splits;
  bool add_prefix_space = false;  // ByteLevel's: before each of its pieces that begins with none
  std::optional<SplitDefinition> byte_level_split;
};

struct TokenizerDefinition {
  bool nfc = false;
  PreTokenizerDefinition pre_tokenizer;
  bool ignore_merges = false;  // a word that is a token as a whole is taken as it is
  std::string unk_token;       // stands for bytes that the vocabulary lacks; empty: they are dropped
  Vocabulary vocabulary;       // as written, in the byte alphabet
  MergeTable merges;
  std::vector<AddedToken> added_tokens;
  std::optional<int32_t> bos_id;  // what the post-processor's template for one text begins with
};

// FAILED_PRECONDITION: UNSUPPORTED_MODEL naming what induct does not implement, BAD_CHECKPOINT for what is
// broken. Takes no more memory than the text and 64 MB. Not checked: that added tokens fit the vocabulary,
// which those who build on them see.
absl::StatusOr<TokenizerDefinition> ParseTokenizerJson(std::string_view text);

}  // namespace induct::checkpoint
