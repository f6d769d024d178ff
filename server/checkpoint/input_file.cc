#include "server/checkpoint/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe that someone named like a weight file must not wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  auto file = std::unique_ptr<InputFile>(new InputFile(fd, std::filesystem::path(path).filename().string()));
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) return BadCheckpoint(absl::StrCat(path, ": is no regular file"));
  file->size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

InputFile::~InputFile() { close(fd_); }

absl::Status InputFile::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t n = pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return BadCheckpoint(absl::StrCat(name_, ": cannot be read: ", std::strerror(errno)));
    if (n == 0) {
      return BadCheckpoint(
          absl::StrCat(name_, ": ended at byte ", offset, "; it has shrunk since it was opened"));
    }
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> InputFile::ReadText(uint64_t offset, uint64_t size) const {
  std::string text(size, '\0');
  INDUCT_RETURN_IF_ERROR(ReadAt(offset, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace induct::checkpoint
