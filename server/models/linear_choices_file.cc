#include "server/models/linear_choices_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/hub/file_lock.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{1} << 20;
// Beyond it what was kept is forgotten: settings of threads that were tried once, LibTorch's old versions.
constexpr size_t kMaxChoices = 2000;
// Looks at a lock that another server holds, a tenth of a second apart.
constexpr int kMaxWaits = 10;

std::optional<engine::LinearChoice> ParseChoice(const json& value) {
  if (!value.is_object()) return std::nullopt;
  const json product = value.value("product", json()), fuses = value.value("fuses_activation", json()),
             gflops = value.value("gflops", json());
  if (!product.is_string() || !fuses.is_boolean() || !gflops.is_number()) return std::nullopt;
  const auto parsed = engine::ParseLinearProduct(product.get<std::string>());
  if (!parsed) return std::nullopt;
  const auto rate = gflops.get<double>();
  if (!std::isfinite(rate) || rate <= 0) return std::nullopt;
  return engine::LinearChoice{.method = {.product = *parsed, .fuses_activation = fuses.get<bool>()},
                              .gflops = rate};
}

// Opens the file for reading; NOT_FOUND where there is none. Does not wait for a FIFO's writer.
absl::StatusOr<int> OpenRegular(const std::string& path, struct stat& info) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  close(fd);
  return absl::FailedPreconditionError(absl::StrCat(path, " is not used: it is no regular file"));
}

// So many bytes, or what there is of them.
absl::StatusOr<std::string> ReadBytes(int fd, size_t n_bytes) {
  std::string text(n_bytes, '\0');
  size_t n_read = 0;
  while (n_read < n_bytes) {
    const ssize_t n = read(fd, text.data() + n_read, n_bytes - n_read);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot read");
    if (n == 0) break;
    n_read += static_cast<size_t>(n);
  }
  text.resize(n_read);
  return text;
}

std::string ToText(const std::map<std::string, engine::LinearChoice>& choices) {
  json file = json::object();
  for (const auto& [key, choice] : choices) {
    file[key] = {{"product", engine::LinearProductName(choice.method.product)},
                 {"fuses_activation", choice.method.fuses_activation},
                 {"gflops", choice.gflops}};
  }
  return file.dump(1) + "\n";
}

// Nobody holds it for longer than writing takes; a server that was halted in the middle of that is not waited
// for.
absl::StatusOr<std::unique_ptr<hub::FileLock>> LockBeside(const std::string& path) {
  std::stop_source patience;
  int n_waits = 0;
  const auto on_wait = [&] {
    if (++n_waits == kMaxWaits) patience.request_stop();
  };
  auto lock = hub::FileLock::Acquire(absl::StrCat(path, ".lock"), on_wait, patience.get_token());
  if (!absl::IsCancelled(lock.status())) return lock;
  return absl::DeadlineExceededError(absl::StrCat("cannot write ", path, ": another server holds its lock"));
}

}  // namespace

std::optional<engine::LinearChoice> LinearChoicesFile::Find(const std::string& key) {
  const absl::MutexLock lock(&mutex_);
  if (!choices_.contains(key)) WarnOnce(Read());
  const auto found = choices_.find(key);
  return found == choices_.end() ? std::nullopt : std::optional(found->second);
}

void LinearChoicesFile::Keep(const std::string& key, const engine::LinearChoice& choice) {
  const absl::MutexLock lock(&mutex_);
  choices_.insert_or_assign(key, choice);
  WarnOnce(Save(key, choice));
}

absl::Status LinearChoicesFile::Read() {
  struct stat info = {};
  const absl::StatusOr<int> fd = OpenRegular(path_, info);
  if (!fd.ok()) return absl::IsNotFound(fd.status()) ? absl::OkStatus() : fd.status();
  const absl::Cleanup closer = [fd = *fd] { close(fd); };
  const Version version = {static_cast<int64_t>(info.st_ino), info.st_size, info.st_mtim.tv_sec,
                           info.st_mtim.tv_nsec};
  if (read_ == version) return absl::OkStatus();
  if (info.st_size > kMaxFileBytes)
    return absl::FailedPreconditionError(absl::StrCat(path_, " is not used: it is too large"));
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ReadBytes(*fd, static_cast<size_t>(info.st_size)));
  read_ = version;
  const json file = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file.is_object()) {
    WarnOnce(absl::DataLossError(absl::StrCat(path_, " is not used: it is no JSON object")));
    return absl::OkStatus();  // it may be replaced
  }
  for (const auto& [key, value] : file.items()) {
    if (const auto choice = ParseChoice(value)) choices_.insert_or_assign(key, *choice);
  }
  return absl::OkStatus();
}

absl::Status LinearChoicesFile::Save(const std::string& key, const engine::LinearChoice& choice) {
  std::error_code error;
  fs::create_directories(fs::path(path_).parent_path(), error);
  INDUCT_ASSIGN_OR_RETURN(const auto file_lock, LockBeside(path_));
  INDUCT_RETURN_IF_ERROR(Read());
  if (choices_.size() > kMaxChoices) choices_.clear();
  choices_.insert_or_assign(key, choice);
  return WriteFileAtomically(path_, ToText(choices_));
}

void LinearChoicesFile::WarnOnce(const absl::Status& status) {
  if (status.ok() || std::exchange(has_warned_, true)) return;
  Log(LogLevel::kWarning, "server", std::string(status.message()));
}

std::string LinearChoicesPath() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const std::string name = "induct/linear_choices.json";
  if (cache != nullptr && *cache != '\0') return absl::StrCat(cache, "/", name);
  if (home != nullptr && *home != '\0') return absl::StrCat(home, "/.cache/", name);
  return "";
}

}  // namespace induct::models
