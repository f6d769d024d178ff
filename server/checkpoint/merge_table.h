// The merges of byte-pair encoding by the pair of ids that they merge.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"

namespace induct::checkpoint {

struct Merge {
  uint32_t rank;    // lower goes first
  int32_t product;  // the merged token's id
};

// Immutable once filled and safe for concurrent use then.
class MergeTable {
 public:
  // Of two merges of one pair the last counts.
  void Add(int32_t left, int32_t right, Merge merge) { merges_.insert_or_assign(Key(left, right), merge); }

  // nullptr where the pair is not merged.
  const Merge* Find(int32_t left, int32_t right) const {
    const auto found = merges_.find(Key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }

 private:
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  absl::flat_hash_map<uint64_t, Merge> merges_;
};

}  // namespace induct::checkpoint
