// Byte-pair encoding of one word (Sennrich et al. 2016, on bytes as in GPT-2).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "server/checkpoint/tokenizer_json.h"

namespace induct::checkpoint {

// Immutable after Create and safe for concurrent use.
class Bpe {
 public:
  // BAD_CHECKPOINT where a part or a product of a merge is not in the vocabulary; UNSUPPORTED_MODEL where an
  // unknown-token would be needed because the vocabulary lacks a byte.
  static absl::StatusOr<Bpe> Create(const TokenizerDefinition& definition);

  // Appends the ids of `word`, any bytes: merges the adjacent pair of lowest rank, the leftmost of equals,
  // until none is left. O(n log n) in the word's length. A byte that the vocabulary lacks is dropped, as the
  // tokenizers package does.
  void Encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    uint32_t rank;
    int32_t product;
  };
  // A piece of the word, linked to its neighbours; merged-away pieces stay in place with id kRemoved.
  struct Symbol {
    int32_t id;
    int32_t previous, next;  // -1: none
  };

  std::optional<Merge> FindMerge(int32_t left, int32_t right) const;
  std::vector<Symbol> BytesAsSymbols(std::string_view word) const;
  void MergeAll(std::vector<Symbol>& symbols) const;

  std::array<int32_t, 256> byte_ids_;
  absl::flat_hash_map<uint64_t, Merge> merges_;  // by the pair of ids
};

}  // namespace induct::checkpoint
