// Which product of linear layers was fastest, kept in the user's cache from one server to the next.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/linear_choice.h"

namespace induct::models {

// A JSON object: {"<key>": {"product": "onednn_packed", "fuses_activation": false, "gflops": 471.2}, ...}.
// Several servers may share it: what is added is added to what the file holds by then, under a lock beside it
// and written whole, atomically; what others add is found. A file that cannot be read or written, or is no
// regular one, is left alone: a warning in the log, once, and choices are measured again then.
class LinearChoicesFile : public engine::ChoiceMemory {
 public:
  explicit LinearChoicesFile(std::string path) : path_(std::move(path)) {}

  // Looks into the file again where it has changed.
  std::optional<engine::LinearChoice> Find(const std::string& key) override;
  void Keep(const std::string& key, const engine::LinearChoice& choice) override;

 private:
  // Tells one state of the file from another.
  using Version = std::array<int64_t, 4>;

  // Takes in what the file holds, unless that is known. An error where the file must be left alone.
  absl::Status Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Save(const std::string& key, const engine::LinearChoice& choice)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WarnOnce(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  absl::Mutex mutex_;
  std::map<std::string, engine::LinearChoice> choices_ ABSL_GUARDED_BY(mutex_);
  std::optional<Version> read_ ABSL_GUARDED_BY(mutex_);  // what choices_ has taken in
  bool has_warned_ ABSL_GUARDED_BY(mutex_) = false;
};

// $XDG_CACHE_HOME/induct/linear_choices.json, by default under ~/.cache; empty where the user has no home.
std::string LinearChoicesPath();

}  // namespace induct::models
