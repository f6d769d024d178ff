// Remembers the ids of short words, since text repeats few of them over and over.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace induct::checkpoint {

// A fixed number of words, 1 MB in all; a new one takes the place of another with a like hash. For one thread
// at a time.
class WordCache {
 public:
  WordCache() : entries_(kEntries) {}

  // Nothing where the word is not there; the span is valid until the next Store.
  std::optional<std::span<const int32_t>> Find(std::string_view word) const;
  // Words and lists of ids that are too long are not kept.
  void Store(std::string_view word, std::span<const int32_t> ids);

 private:
  static constexpr size_t kEntries = size_t{1} << 14;
  static constexpr size_t kMaxBytes = 22;
  static constexpr size_t kMaxIds = 10;

  struct Entry {  // 64 bytes, a cache line
    uint8_t n_bytes = 0;
    uint8_t n_ids = 0;
    std::array<char, kMaxBytes> bytes;
    std::array<int32_t, kMaxIds> ids;
  };

  static size_t Slot(std::string_view word);

  std::vector<Entry> entries_;
};

}  // namespace induct::checkpoint
