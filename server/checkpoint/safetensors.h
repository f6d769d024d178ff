// Reader of one .safetensors file: https://github.com/huggingface/safetensors ("Format").
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/dtype.h"

namespace induct::checkpoint {

// An open file whose header has been checked in full: size at most 100 MB and within the file, every tensor's
// offsets in range, in order, without overlap or gap, and equal to its shape times its dtype's size. Tensors
// of integer or boolean dtype may stand in the file (old checkpoints hold buffers) and are not listed. Reads
// go through pread, never a mapping: a mapped file that someone truncates would kill the server by SIGBUS.
// Immutable after Open and safe for concurrent use.
class SafetensorsFile {
 public:
  struct Tensor {
    DType dtype = DType::kFloat32;
    std::vector<int64_t> shape;
    uint64_t offset = 0;  // from the start of the file
    uint64_t bytes = 0;
  };

  // FAILED_PRECONDITION (BAD_CHECKPOINT) naming file, tensor and fault; NOT_FOUND where there is no such
  // file.
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  // NOT_FOUND where the file lists no floating-point tensor of that name.
  absl::StatusOr<const Tensor*> Find(const std::string& name) const;

  // The tensor's bytes as stored. REQUIRES: out.size() == bytes. FAILED_PRECONDITION where the file has
  // shrunk since Open.
  absl::Status Read(const Tensor& tensor, std::span<std::byte> out) const;

  const std::unordered_map<std::string, Tensor>& tensors() const { return tensors_; }
  const std::string& path() const { return path_; }

 private:
  SafetensorsFile() = default;

  std::string path_;
  int fd_ = -1;
  std::unordered_map<std::string, Tensor> tensors_;
  std::unordered_map<std::string, std::string>
      unlisted_;  // the other tensors' dtypes, so that errors can name them
};

}  // namespace induct::checkpoint
