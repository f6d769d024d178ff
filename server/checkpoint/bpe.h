// Byte-pair encoding of one word (Sennrich et al. 2016, on bytes as in GPT-2).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/checkpoint/merge_table.h"
#include "server/checkpoint/vocabulary.h"

namespace induct::checkpoint {

// What Bpe::Encode writes to: kept between words so that it costs no memory of its own for each.
struct BpeState {
  // A piece of the word, linked to its neighbours; merged-away pieces stay in place with id -1.
  struct Symbol {
    int32_t id;
    int32_t previous, next;  // -1: none
  };
  // A merge that was possible when it was queued. What it would have made tells whether it still is.
  struct Candidate {
    uint32_t rank;
    int32_t position;  // of the left symbol
    int32_t product;
  };

  std::vector<Symbol> symbols;
  std::vector<Candidate> queue;  // a heap, the lowest rank first, the leftmost of equals
};

// Immutable after Create and safe for concurrent use, each thread with a state of its own.
class Bpe {
 public:
  // UNSUPPORTED_MODEL where `unk_token` (none: empty) would be needed because the vocabulary lacks a byte.
  static absl::StatusOr<Bpe> Create(const Vocabulary& vocabulary, MergeTable merges,
                                    const std::string& unk_token);

  // Appends the ids of `word`, any bytes: merges the adjacent pair of lowest rank, the leftmost of equals,
  // until none is left. O(n log n) in the word's length. A byte that the vocabulary lacks is dropped, as the
  // tokenizers package does.
  void Encode(std::string_view word, BpeState& state, std::vector<int32_t>& ids) const;

 private:
  void StartSymbols(std::string_view word, std::vector<BpeState::Symbol>& symbols) const;
  void Enqueue(int32_t left, BpeState& state) const;
  void MergeAll(BpeState& state) const;

  std::array<int32_t, 256> byte_ids_;
  MergeTable merges_;
};

}  // namespace induct::checkpoint
