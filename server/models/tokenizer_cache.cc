#include "server/models/tokenizer_cache.h"

#include <filesystem>

#include "common/sha256.h"
#include "common/status.h"

namespace induct::models {

absl::StatusOr<std::shared_ptr<const checkpoint::Tokenizer>> TokenizerCache::Load(
    const checkpoint::Checkpoint& checkpoint, const std::string& directory) {
  const std::filesystem::path path = std::filesystem::path(directory) / "tokenizer.json";
  std::error_code error;
  // Only what can be read to an end has a hash; what is wrong with the rest the checkpoint says.
  if (!std::filesystem::is_regular_file(path, error)) return checkpoint.LoadTokenizer();
  INDUCT_ASSIGN_OR_RETURN(const std::string sha256, Sha256HexOfFile(path.string()));
  {
    const absl::MutexLock lock(&mutex_);
    if (const auto it = by_sha256_.find(sha256); it != by_sha256_.end()) {
      if (auto tokenizer = it->second.lock()) return tokenizer;
    }
  }
  INDUCT_ASSIGN_OR_RETURN(std::shared_ptr<const checkpoint::Tokenizer> made, checkpoint.LoadTokenizer());
  const absl::MutexLock lock(&mutex_);
  std::erase_if(by_sha256_, [](const auto& entry) { return entry.second.expired(); });
  const auto [it, is_new] = by_sha256_.try_emplace(sha256, made);
  if (is_new) return made;
  // Another thread was first.
  auto tokenizer = it->second.lock();
  if (tokenizer == nullptr) it->second = tokenizer = made;
  return tokenizer;
}

}  // namespace induct::models
