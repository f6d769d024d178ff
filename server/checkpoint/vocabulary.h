// The tokens of a vocabulary: texts and ids, in few bytes an entry, since files may hold very many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace induct::checkpoint {

// Immutable once filled and safe for concurrent use then.
class Vocabulary {
 public:
  Vocabulary()
      : texts_(std::make_unique<Texts>()), by_text_(0, TextHash{texts_.get()}, TextEqual{texts_.get()}) {}

  // False, and nothing added, where the text or the id is there already. REQUIRES: fewer than 2^32 bytes in
  // all.
  bool Add(std::string_view text, int32_t id);

  std::optional<int32_t> Find(std::string_view text) const;
  // Valid until the next Add.
  std::optional<std::string_view> TextOf(int32_t id) const;

  size_t size() const { return ids_.size(); }
  // By index, in the order they were added.
  int32_t id(size_t index) const { return ids_[index]; }
  std::string_view text(size_t index) const { return texts_->Of(static_cast<uint32_t>(index)); }

 private:
  // All texts end to end, at a fixed address so that hash and comparison can point to them.
  struct Texts {
    std::string_view Of(uint32_t index) const {
      const uint32_t begin = index == 0 ? 0 : ends[index - 1];
      return std::string_view(bytes).substr(begin, ends[index] - begin);
    }

    std::string bytes;
    std::vector<uint32_t> ends;
  };
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return absl::HashOf(text); }
    size_t operator()(uint32_t index) const { return absl::HashOf(texts->Of(index)); }

    const Texts* texts;
  };
  struct TextEqual {
    using is_transparent = void;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t index, std::string_view text) const { return texts->Of(index) == text; }
    bool operator()(std::string_view text, uint32_t index) const { return texts->Of(index) == text; }

    const Texts* texts;
  };

  std::unique_ptr<Texts> texts_;
  std::vector<int32_t> ids_;
  absl::flat_hash_set<uint32_t, TextHash, TextEqual> by_text_;
  absl::flat_hash_map<int32_t, uint32_t> by_id_;
};

}  // namespace induct::checkpoint
