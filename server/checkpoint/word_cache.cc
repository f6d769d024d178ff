#include "server/checkpoint/word_cache.h"

#include <algorithm>

#include "absl/hash/hash.h"

namespace induct::checkpoint {

size_t WordCache::Slot(std::string_view word) { return absl::HashOf(word) % kEntries; }

std::optional<std::span<const int32_t>> WordCache::Find(std::string_view word) const {
  if (word.size() > kMaxBytes) return std::nullopt;
  const Entry& entry = entries_[Slot(word)];
  if (std::string_view(entry.bytes.data(), entry.n_bytes) != word) return std::nullopt;
  return std::span(entry.ids).first(entry.n_ids);
}

void WordCache::Store(std::string_view word, std::span<const int32_t> ids) {
  if (word.size() > kMaxBytes || ids.size() > kMaxIds) return;
  Entry& entry = entries_[Slot(word)];
  entry.n_bytes = static_cast<uint8_t>(word.size());
  entry.n_ids = static_cast<uint8_t>(ids.size());
  std::ranges::copy(word, entry.bytes.begin());
  std::ranges::copy(ids, entry.ids.begin());
}

}  // namespace induct::checkpoint
