#include "server/models/opened_models.h"

#include "common/status.h"

namespace induct::models {

absl::StatusOr<std::shared_ptr<const ModelFiles>> OpenedModels::Open(const ModelOrigin& origin) {
  FilesPtr files = Find(origin.directory);
  if (files == nullptr || files->fingerprint() != files->CurrentFingerprint()) {
    INDUCT_ASSIGN_OR_RETURN(files, ModelFiles::Open(origin, tokenizers_));
  }
  return Keep(std::move(files));
}

void OpenedModels::Forget() {
  std::list<FilesPtr> dropped;  // destroyed without the lock
  const absl::MutexLock lock(&mutex_);
  dropped.swap(recent_);
}

OpenedModels::FilesPtr OpenedModels::Find(const std::string& directory) const {
  const absl::MutexLock lock(&mutex_);
  const auto it = by_directory_.find(directory);
  return it == by_directory_.end() ? nullptr : it->second.lock();
}

OpenedModels::FilesPtr OpenedModels::Keep(FilesPtr files) {
  std::list<FilesPtr> dropped;  // destroyed without the lock
  const absl::MutexLock lock(&mutex_);
  std::weak_ptr<const ModelFiles>& entry = by_directory_[files->directory()];
  // Another thread may have been first: one model must not become two.
  const FilesPtr first = entry.lock();
  if (first != nullptr && first->fingerprint() == files->fingerprint()) files = first;
  entry = files;
  recent_.remove_if([&](const FilesPtr& other) { return other->directory() == files->directory(); });
  recent_.push_front(files);
  if (recent_.size() > kept_) dropped.splice(dropped.end(), recent_, std::prev(recent_.end()));
  std::erase_if(by_directory_, [](const auto& other) { return other.second.expired(); });
  return files;
}

}  // namespace induct::models
