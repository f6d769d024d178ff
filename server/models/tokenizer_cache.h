// One tokenizer for all models that have the same tokenizer.json: the sizes and checkpoints of a family.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tokenizer.h"

namespace induct::models {

// Keeps no tokenizer alive: it finds those that somebody still uses. Safe for concurrent use.
class TokenizerCache {
 public:
  // The tokenizer of the checkpoint in `directory`. Errors of Checkpoint::LoadTokenizer, which are not
  // remembered.
  absl::StatusOr<std::shared_ptr<const checkpoint::Tokenizer>> Load(const checkpoint::Checkpoint& checkpoint,
                                                                    const std::string& directory);

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<const checkpoint::Tokenizer>> by_sha256_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace induct::models
