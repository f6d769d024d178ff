#include "server/checkpoint/vocabulary.h"

namespace induct::checkpoint {

bool Vocabulary::Add(std::string_view text, int32_t id) {
  const auto index = static_cast<uint32_t>(ids_.size());
  if (by_text_.contains(text) || !by_id_.emplace(id, index).second) return false;
  texts_->bytes += text;
  texts_->ends.push_back(static_cast<uint32_t>(texts_->bytes.size()));
  ids_.push_back(id);
  by_text_.insert(index);
  return true;
}

std::optional<int32_t> Vocabulary::Find(std::string_view text) const {
  const auto found = by_text_.find(text);
  if (found == by_text_.end()) return std::nullopt;
  return ids_[*found];
}

std::optional<std::string_view> Vocabulary::TextOf(int32_t id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return texts_->Of(found->second);
}

}  // namespace induct::checkpoint
