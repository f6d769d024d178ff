// A model's files, opened: everything but its weights.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tokenizer.h"
#include "server/engine/engine.h"
#include "server/metrics/recorder.h"
#include "server/models/tokenizer_cache.h"

namespace induct::models {

// Where a model was found.
struct ModelOrigin {
  std::string name;       // its one name, whatever name it was asked for by
  std::string directory;  // with its files in the Hugging Face layout
  std::string commit;     // of a model of the hub; empty for a folder
};

// Immutable and safe for concurrent use.
class ModelFiles {
 public:
  // Errors of Checkpoint::Open and of a broken tokenizer. One of a kind that is not supported is none:
  // the model serves prompts of token ids.
  static absl::StatusOr<std::shared_ptr<const ModelFiles>> Open(ModelOrigin origin,
                                                                TokenizerCache& tokenizers);

  const std::string& name() const { return origin_.name; }
  const std::string& directory() const { return origin_.directory; }
  // The commit of a model of the hub; empty for a folder.
  const std::string& revision() const { return origin_.commit; }

  const checkpoint::Checkpoint& checkpoint() const { return *checkpoint_; }
  const DecoderSpec& spec() const { return checkpoint_->spec(); }
  // nullptr where there is none that can be used: tokenizer_problem() says why.
  const checkpoint::Tokenizer* tokenizer() const { return tokenizer_.get(); }
  const std::string& tokenizer_problem() const { return tokenizer_problem_; }
  // The token that prompts begin with; -1 where neither tokenizer nor configuration names one.
  int64_t bos_token_id() const { return bos_token_id_; }
  // As Checkpoint::Sha256, computed at the first call (seconds for large models) and kept.
  absl::StatusOr<std::string> Sha256() const;

  // Sizes, times and inodes of the files as they were when they were opened, and as they are now: they
  // differ where somebody has changed them.
  const std::string& fingerprint() const { return fingerprint_; }
  std::string CurrentFingerprint() const;

 private:
  ModelFiles() = default;
  absl::Status OpenTokenizer(TokenizerCache& tokenizers);

  ModelOrigin origin_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::string fingerprint_;
  std::shared_ptr<const checkpoint::Tokenizer> tokenizer_;
  std::string tokenizer_problem_;
  int64_t bos_token_id_ = -1;

  mutable absl::Mutex sha256_mutex_;
  mutable std::string sha256_ ABSL_GUARDED_BY(sha256_mutex_);
};

// The engine's view of the weights; keeps the files open. What is read is told to `streaming`, which must
// outlive it.
std::shared_ptr<const engine::TensorSource> WeightsOf(std::shared_ptr<const ModelFiles> files,
                                                      metrics::Recorder* streaming = metrics::NoRecorder());

}  // namespace induct::models
