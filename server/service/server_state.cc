#include "server/service/server_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/atomic_file.h"
#include "common/status.h"
#include "server/jobs/scheduler.h"

namespace induct::service {
namespace {

constexpr size_t kIdLength = 26;

bool IsId(const std::string& text) {
  return text.size() == kIdLength && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

absl::Status Unusable(const std::string& folder, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("the setting state_dir: ", folder, " cannot be used: ", why));
}

// The descriptor of the locked file.
absl::StatusOr<int> Lock(const std::string& folder) {
  const int fd = open(absl::StrCat(folder, "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Unusable(folder, std::strerror(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const bool taken = errno == EWOULDBLOCK;
  const absl::Status status =
      Unusable(folder, taken ? "another server uses it; give each server its own" : std::strerror(errno));
  close(fd);
  return status;
}

absl::StatusOr<std::string> ReadOrMakeId(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/server_id");
  const absl::StatusOr<std::string> bytes = ReadFile(path, 4096);
  if (absl::IsNotFound(bytes.status())) {
    const std::string id = jobs::NewUlid(absl::Now());
    INDUCT_RETURN_IF_ERROR(WriteFileAtomically(path, absl::StrCat(id, "\n")));
    return id;
  }
  INDUCT_RETURN_IF_ERROR(bytes.status());
  std::string id(absl::StripSuffix(*bytes, "\n"));
  if (IsId(id)) return id;
  return absl::DataLossError(absl::StrCat(path, " holds no server's id; remove it for a new one"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerState>> ServerState::Open(const std::string& folder) {
  if (folder.empty()) return std::unique_ptr<ServerState>(new ServerState(-1, jobs::NewUlid(absl::Now())));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return Unusable(folder, error.message());
  INDUCT_ASSIGN_OR_RETURN(const int lock, Lock(folder));
  absl::StatusOr<std::string> id = ReadOrMakeId(folder);
  if (!id.ok()) {
    close(lock);
    return id.status();
  }
  return std::unique_ptr<ServerState>(new ServerState(lock, *std::move(id)));
}

ServerState::~ServerState() {
  if (lock_ >= 0) close(lock_);
}

}  // namespace induct::service
