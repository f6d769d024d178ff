// server/models finds models by name, opens their checkpoints and keeps loaded weights resident between jobs.
// Must not know: jobs, gRPC, prompts, how a file is parsed, what a layer computes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tokenizer.h"
#include "server/engine/engine.h"

namespace induct::models {

// A model's files, opened: everything but its weights. Immutable and safe for concurrent use.
class ModelFiles {
 public:
  // `name` is what requests call it.
  static absl::StatusOr<std::shared_ptr<const ModelFiles>> Open(const std::string& name,
                                                                const std::string& directory);

  const std::string& name() const { return name_; }
  const checkpoint::Checkpoint& checkpoint() const { return *checkpoint_; }
  const DecoderSpec& spec() const { return checkpoint_->spec(); }
  // nullptr where the folder has no tokenizer.json.
  const checkpoint::Tokenizer* tokenizer() const { return tokenizer_.get(); }
  // The token that prompts begin with; -1 where neither tokenizer nor configuration names one.
  int64_t bos_token_id() const { return bos_token_id_; }
  // As Checkpoint::Sha256, computed at the first call (seconds for large models) and kept.
  absl::StatusOr<std::string> Sha256() const;

 private:
  ModelFiles() = default;

  std::string name_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<checkpoint::Tokenizer> tokenizer_;
  int64_t bos_token_id_ = -1;

  mutable absl::Mutex sha256_mutex_;
  mutable std::string sha256_ ABSL_GUARDED_BY(sha256_mutex_);
};

// A model as lists show it.
struct ModelListing {
  std::string name;
  std::shared_ptr<const ModelFiles> files;  // nullptr where it can't be used; `problem` says why
  uint64_t resident_bytes = 0;              // over all devices and dtypes; 0: not resident
  std::string problem;
};

// All models of this server. Safe for concurrent use; opening and loading block on the disk, so never call it
// on a gRPC thread.
class ModelRegistry {
 public:
  // `model_dirs`: folders whose subfolders ("name" or "org/name") are models. Where two hold one name the
  // earlier wins.
  explicit ModelRegistry(std::vector<std::string> model_dirs);

  // What is wrong with the model directories themselves: one sentence for each that is missing or can't be
  // read.
  std::vector<std::string> DirectoryProblems() const;

  // Whether a folder of that name is there. NOT_FOUND (MODEL_NOT_FOUND) naming the nearest known model and
  // the folders looked in; names that leave the model directories ("..", an absolute path elsewhere) are not
  // found either.
  absl::Status CheckExists(const std::string& name) const;

  // The model's files; read again only when they have changed on disk. Errors of CheckExists and of
  // Checkpoint::Open.
  absl::StatusOr<std::shared_ptr<const ModelFiles>> Open(const std::string& name);

  // The model, loaded. A resident one is shared by all who ask for the same files, device and dtype, and two
  // requests for one model load it once; a streamed one (options.stream_layers) is made for the caller alone.
  // The handle keeps it in memory.
  absl::StatusOr<std::shared_ptr<engine::Model>> Load(const std::shared_ptr<const ModelFiles>& files,
                                                      const engine::LoadOptions& options,
                                                      std::stop_token stop);

  // Every model under the directories, by name, the broken ones with their problem.
  std::vector<ModelListing> List();
  absl::StatusOr<ModelListing> Describe(const std::string& name);

 private:
  struct OpenedFiles {
    std::string fingerprint;  // sizes and times of the files, to notice that they changed
    std::shared_ptr<const ModelFiles> files;
  };
  // One resident copy. Its mutex is held while it loads, so that a second request waits for the first.
  struct Resident {
    absl::Mutex mutex;
    std::shared_ptr<const ModelFiles> files ABSL_GUARDED_BY(mutex);
    std::shared_ptr<engine::Model> model ABSL_GUARDED_BY(mutex);
  };
  using ResidentKey = std::tuple<std::string, std::string, DType>;  // name, device, dtype

  // A model's folder, and its one name: a path inside a model directory means the same model as the name
  // there.
  struct Found {
    std::string name;
    std::string directory;
  };
  absl::StatusOr<Found> Find(const std::string& name) const;
  std::vector<std::string> Names() const;
  uint64_t ResidentBytes(const std::string& name) const;
  void SetResidentBytes(const ResidentKey& key, uint64_t bytes);

  const std::vector<std::string> model_dirs_;

  mutable absl::Mutex mutex_;
  std::map<std::string, OpenedFiles> opened_ ABSL_GUARDED_BY(mutex_);
  std::map<ResidentKey, std::shared_ptr<Resident>> resident_ ABSL_GUARDED_BY(mutex_);
  // Beside the models, so that lists need not wait for one that loads.
  std::map<ResidentKey, uint64_t> resident_bytes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace induct::models
