#include "server/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/safetensors_header.h"

namespace induct::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors stores little-endian numbers");

constexpr uint64_t kSizeBytes = sizeof(uint64_t);
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

// Fills `out` from `offset` on.
absl::Status ReadAt(int fd, uint64_t offset, std::span<std::byte> out, const std::string& path) {
  while (!out.empty()) {
    const ssize_t n = pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return BadCheckpoint(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
    if (n == 0)
      return BadCheckpoint(
          absl::StrCat(path, ": ended at byte ", offset, "; it has shrunk since it was opened"));
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RegularFileSize(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) return BadCheckpoint(absl::StrCat(path, ": is no regular file"));
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<std::string> ReadHeader(int fd, uint64_t file_bytes, const std::string& path) {
  if (file_bytes < kSizeBytes) {
    return BadCheckpoint(absl::StrCat(path, ": truncated: ", file_bytes, " bytes, no room for a header"));
  }
  uint64_t header_bytes = 0;
  INDUCT_RETURN_IF_ERROR(ReadAt(fd, 0, std::as_writable_bytes(std::span(&header_bytes, 1)), path));
  if (header_bytes > kMaxHeaderBytes) {
    return BadCheckpoint(
        absl::StrCat(path, ": a header of ", header_bytes, " bytes exceeds the limit of ", kMaxHeaderBytes));
  }
  if (header_bytes > file_bytes - kSizeBytes) {
    return BadCheckpoint(
        absl::StrCat(path, ": truncated: a header of ", header_bytes, " bytes in a file of ", file_bytes));
  }
  std::string text(header_bytes, '\0');
  INDUCT_RETURN_IF_ERROR(ReadAt(fd, kSizeBytes, std::as_writable_bytes(std::span(text)), path));
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  auto file = std::unique_ptr<SafetensorsFile>(new SafetensorsFile);
  file->path_ = path;
  // O_NONBLOCK: opening a pipe that someone named like a weight file must not wait for its writer.
  file->fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  INDUCT_ASSIGN_OR_RETURN(const uint64_t file_bytes, RegularFileSize(file->fd_, path));
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ReadHeader(file->fd_, file_bytes, path));
  const uint64_t data_start = kSizeBytes + text.size();
  const std::string name = std::filesystem::path(path).filename().string();
  INDUCT_ASSIGN_OR_RETURN(SafetensorsHeader header,
                          ParseSafetensorsHeader(text, data_start, file_bytes - data_start, name));
  file->tensors_ = std::move(header.tensors);
  file->unlisted_ = std::move(header.unlisted);
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<const SafetensorsFile::Tensor*> SafetensorsFile::Find(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return &found->second;
  const std::string tensor =
      absl::StrCat(std::filesystem::path(path_).filename().string(), ": tensor ", Quoted(name));
  const auto other = unlisted_.find(name);
  if (other == unlisted_.end()) return absl::NotFoundError(absl::StrCat(tensor, " is missing"));
  return absl::NotFoundError(
      absl::StrCat(tensor, " is stored as ", other->second, "; F32, F16 or BF16 is needed"));
}

absl::Status SafetensorsFile::Read(const Tensor& tensor, std::span<std::byte> out) const {
  return ReadAt(fd_, tensor.offset, out, path_);
}

}  // namespace induct::checkpoint
