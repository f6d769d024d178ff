#include "server/models/model_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::models {
namespace {

class CheckpointTensors : public engine::TensorSource {
 public:
  CheckpointTensors(std::shared_ptr<const ModelFiles> files, metrics::Recorder* streaming)
      : files_(std::move(files)), streaming_(streaming) {}

  absl::StatusOr<Info> Describe(const std::string& name) const override {
    INDUCT_ASSIGN_OR_RETURN(const auto* tensor, files_->checkpoint().weights().Find(name));
    return Info{.dtype = tensor->dtype, .shape = tensor->shape};
  }

  absl::Status Read(const std::string& name, uint64_t offset, std::span<std::byte> out) const override {
    INDUCT_ASSIGN_OR_RETURN(const auto* tensor, files_->checkpoint().weights().Find(name));
    streaming_->BytesStreamed(out.size());
    return files_->checkpoint().weights().Read(*tensor, offset, out);
  }

 private:
  const std::shared_ptr<const ModelFiles> files_;
  metrics::Recorder* const streaming_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelFiles::Open(ModelOrigin origin,
                                                                   TokenizerCache& tokenizers) {
  std::shared_ptr<ModelFiles> files(new ModelFiles());
  files->origin_ = std::move(origin);
  INDUCT_ASSIGN_OR_RETURN(files->checkpoint_, checkpoint::Checkpoint::Open(files->directory()));
  files->fingerprint_ = files->CurrentFingerprint();
  INDUCT_RETURN_IF_ERROR(files->OpenTokenizer(tokenizers));
  INDUCT_ASSIGN_OR_RETURN(files->bos_token_id_, files->checkpoint_->BosTokenId(files->tokenizer_.get()));
  return files;
}

absl::Status ModelFiles::OpenTokenizer(TokenizerCache& tokenizers) {
  if (!checkpoint_->has_tokenizer()) {
    tokenizer_problem_ = "it has no tokenizer.json";
    return absl::OkStatus();
  }
  auto tokenizer = tokenizers.Load(*checkpoint_, directory());
  if (tokenizer.ok()) {
    tokenizer_ = *std::move(tokenizer);
  } else if (ReasonOf(tokenizer.status()) == reason::kUnsupportedModel) {
    tokenizer_problem_ = std::string(tokenizer.status().message());
  } else {
    return tokenizer.status();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ModelFiles::Sha256() const {
  const absl::MutexLock lock(&sha256_mutex_);
  if (sha256_.empty()) {
    INDUCT_ASSIGN_OR_RETURN(sha256_, checkpoint_->Sha256());
  }
  return sha256_;
}

std::string ModelFiles::CurrentFingerprint() const {
  std::string print;
  for (const std::string& file : checkpoint_->files()) {
    const std::string path = (std::filesystem::path(directory()) / file).string();
    struct stat info = {};
    absl::StrAppend(&print, file, ":");
    if (stat(path.c_str(), &info) == 0)
      absl::StrAppend(&print, info.st_size, ".", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, ".",
                      info.st_ino);
    absl::StrAppend(&print, ";");
  }
  return print;
}

std::shared_ptr<const engine::TensorSource> WeightsOf(std::shared_ptr<const ModelFiles> files,
                                                      metrics::Recorder* streaming) {
  return std::make_shared<CheckpointTensors>(std::move(files), streaming);
}

}  // namespace induct::models
