// Finds added tokens in text, leftmost and longest first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/checkpoint/tokenizer_json.h"

namespace induct::checkpoint {

// An added token, or the text between two (no id; never empty).
struct TextPiece {
  std::optional<int32_t> id;
  std::string_view text;
};

// A set of added tokens to split text on. Immutable once filled and safe for concurrent use.
class AddedTokenSet {
 public:
  AddedTokenSet();

  // `content` is what to look for: the token's own, normalised where it is looked for in normalised text.
  void Add(const AddedToken& token, std::string_view content);

  // The pieces of `text`, valid UTF-8, in order.
  std::vector<TextPiece> Split(std::string_view text) const;

 private:
  struct Match {
    size_t begin, end;
    const AddedToken* token;
  };

  std::optional<Match> LongestAt(std::string_view text, size_t at) const;

  // A trie over bytes; node 0 is the root.
  std::array<int32_t, 256> root_children_;
  absl::flat_hash_map<uint64_t, int32_t> children_;  // by (node, byte), the root's excepted
  std::vector<int32_t> token_at_node_;               // index into tokens_, or -1
  std::vector<AddedToken> tokens_;
};

}  // namespace induct::checkpoint
