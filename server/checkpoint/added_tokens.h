// Finds added tokens in text, leftmost and longest first.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
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

  // Calls `piece` with the pieces of `text`, valid UTF-8, in order, until one is refused.
  absl::Status Split(std::string_view text, absl::FunctionRef<absl::Status(const TextPiece&)> piece) const;

 private:
  struct Match {
    size_t begin, end;
    const AddedToken* token;
  };

  // Whether any token begins with the bytes at `at`, by their first two.
  bool MayStart(std::string_view text, size_t at) const {
    const size_t first = static_cast<uint8_t>(text[at]);
    const size_t second = at + 1 < text.size() ? static_cast<uint8_t>(text[at + 1]) : 0;
    return starts_[first << 8 | second];
  }
  std::optional<Match> LongestAt(std::string_view text, size_t at) const;

  std::bitset<65536> starts_;
  // A trie over bytes; node 0 is the root.
  absl::flat_hash_map<uint64_t, int32_t> children_;  // by (node, byte)
  std::vector<int32_t> token_at_node_;               // index into tokens_, or -1
  std::vector<AddedToken> tokens_;
};

}  // namespace induct::checkpoint
