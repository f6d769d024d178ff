// Which product of linear layers was fastest, kept in the user's cache from one server to the next.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/linear_choice.h"

namespace induct::models {

// A JSON object: {"<key>": {"product": "onednn_packed", "fuses_activation": false, "gflops": 471.2}, ...}.
// Read at the start and written whole, atomically, when something is added; two servers that write at once
// lose at most what the other one measured. A file that cannot be read or written is a warning in the log:
// choices are measured again then.
class LinearChoicesFile : public engine::ChoiceMemory {
 public:
  explicit LinearChoicesFile(std::string path);

  std::optional<engine::LinearChoice> Find(const std::string& key) override;
  void Keep(const std::string& key, const engine::LinearChoice& choice) override;

 private:
  void Save() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  absl::Mutex mutex_;
  std::map<std::string, engine::LinearChoice> choices_ ABSL_GUARDED_BY(mutex_);
};

// $XDG_CACHE_HOME/induct/linear_choices.json, by default under ~/.cache; empty where the user has no home.
std::string LinearChoicesPath();

}  // namespace induct::models
