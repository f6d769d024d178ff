// One of the checkpoint's files, open for reading at any place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct::checkpoint {

// A regular file (or a link to one). Reads go through pread, never a mapping: a mapped file that someone
// truncates would kill the server by SIGBUS. Immutable and safe for concurrent use.
class InputFile {
 public:
  // NOT_FOUND where there is none; FAILED_PRECONDITION (BAD_CHECKPOINT) where it is no regular file.
  static absl::StatusOr<std::unique_ptr<InputFile>> Open(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // The file's name without its folder, as errors call it.
  const std::string& name() const { return name_; }
  // Bytes, when it was opened.
  uint64_t size() const { return size_; }

  // Fills `out` with the bytes from `offset` on. BAD_CHECKPOINT where the file ends before: it has shrunk
  // since Open, or the caller did not check against size().
  absl::Status ReadAt(uint64_t offset, std::span<std::byte> out) const;
  // The same as a text of `size` bytes. REQUIRES: offset + size <= size().
  absl::StatusOr<std::string> ReadText(uint64_t offset, uint64_t size) const;

 private:
  InputFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  const int fd_;
  const std::string name_;
  uint64_t size_ = 0;
};

}  // namespace induct::checkpoint
