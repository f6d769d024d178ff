// The weights of a checkpoint folder, in whatever files they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/checkpoint/input_file.h"
#include "server/checkpoint/shard_index.h"
#include "server/checkpoint/stored_tensor.h"

namespace induct::checkpoint {

// The tensors of a folder's weight files as if they were one file. What is there is taken in this order:
// model.safetensors, or the shards that model.safetensors.index.json names; pytorch_model.bin, or the shards
// that pytorch_model.bin.index.json names. Every file stays open. Immutable after Open and safe for
// concurrent use.
class WeightFiles {
 public:
  // Checks the headers of all files; reads no weights. FAILED_PRECONDITION (BAD_CHECKPOINT, or
  // UNSUPPORTED_MODEL for a pytorch_model.bin that induct does not read) naming file and tensor: no weights,
  // a broken file, a shard that is missing, a tensor in two shards or in another one than the index says.
  static absl::StatusOr<std::unique_ptr<WeightFiles>> Open(const std::string& directory);

  // NOT_FOUND naming the file where no file holds a floating-point tensor of that name; FAILED_PRECONDITION
  // (UNSUPPORTED_MODEL) naming its dtype where the tensor is there but of another kind.
  absl::StatusOr<const StoredTensor*> Find(const std::string& name) const;

  // The tensor's bytes as stored, from `offset` on. REQUIRES: offset + out.size() <= tensor.bytes.
  // FAILED_PRECONDITION (BAD_CHECKPOINT) where the file has shrunk since Open.
  absl::Status Read(const StoredTensor& tensor, uint64_t offset, std::span<std::byte> out) const;

  // Whether there is a tensor of that name, of whatever dtype.
  bool Holds(const std::string& name) const { return table_.Holds(name); }
  // The file that `tensor` is in, for errors.
  const std::string& FileOf(const StoredTensor& tensor) const { return files_[tensor.file]->name(); }
  // All files by name: the index first, where there is one.
  const std::vector<std::string>& names() const { return names_; }

 private:
  // How tensors are listed in one kind of file.
  using Reader = absl::StatusOr<TensorTable> (*)(const InputFile& file);

  explicit WeightFiles(const std::string& directory) : directory_(directory) {}

  absl::Status OpenSharded(std::string_view index_name, Reader reader);
  absl::Status AddFile(const std::string& name, Reader reader);
  absl::Status CheckFilesExist(const ShardIndex& index) const;
  // Every tensor of the index must be in the file that it names.
  absl::Status CheckTensorsAreWhere(const ShardIndex& index) const;
  absl::Status WrongFile(const std::string& tensor, const std::string& file,
                         const std::string& complaint) const;

  const std::string directory_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<InputFile>> files_;  // StoredTensor::file
  TensorTable table_;
};

}  // namespace induct::checkpoint
