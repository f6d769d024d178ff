// The files of models that were used lately.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/models/model_files.h"
#include "server/models/tokenizer_cache.h"

namespace induct::models {

// Safe for concurrent use; files are opened without the lock.
class OpenedModels {
 public:
  // Keeps the files of the `kept` models opened last; others live as long as somebody uses them.
  explicit OpenedModels(size_t kept) : kept_(kept) {}

  // A model's files, one object for all who ask while it lives; opened again where they changed on disk.
  // Errors of ModelFiles::Open, which are not remembered.
  absl::StatusOr<std::shared_ptr<const ModelFiles>> Open(const ModelOrigin& origin);

  // Keeps none any more that nobody uses.
  void Forget();

 private:
  using FilesPtr = std::shared_ptr<const ModelFiles>;
  FilesPtr Find(const std::string& directory) const;
  FilesPtr Keep(FilesPtr files);

  const size_t kept_;
  TokenizerCache tokenizers_;

  mutable absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<const ModelFiles>> by_directory_ ABSL_GUARDED_BY(mutex_);
  std::list<FilesPtr> recent_ ABSL_GUARDED_BY(mutex_);  // newest first, at most kept_
};

}  // namespace induct::models
