#include "client/run_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "common/atomic_file.h"
#include "common/file_names.h"
#include "common/status.h"

namespace induct::client {
namespace {

constexpr int kMaxRunsPerSecond = 10000;

absl::Status CannotWrite(const std::string& what, int error) {
  return WithExitCode(absl::ErrnoToStatus(error, what), ExitCode::kOutput);
}

}  // namespace

std::string DirectoryPart(const std::vector<std::string>& models) {
  if (models.empty()) return "none";
  const std::string first = ModelFileName(models.front());
  return models.size() == 1 ? first : absl::StrCat(first, "+", models.size() - 1);
}

absl::Status MakeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return CannotWrite(absl::StrCat("cannot make the folder ", path), error.value());
  return absl::OkStatus();
}

absl::StatusOr<RunDirectory> RunDirectory::Prepare(const std::string& output_dir, const std::string& command,
                                                   const std::string& model, absl::Time now,
                                                   absl::TimeZone zone) {
  const std::string runs = absl::StrCat(output_dir, "/runs");
  INDUCT_RETURN_IF_ERROR(MakeFolders(runs));
  if (access(runs.c_str(), W_OK | X_OK) != 0)
    return CannotWrite(absl::StrCat("cannot write into ", runs), errno);
  return RunDirectory(
      absl::StrCat(runs, "/", absl::FormatTime("%Y%m%d-%H%M%S", now, zone), "-", command, "-", model));
}

// mkdir says who was first, so that two runs of the same second never share a folder.
absl::Status RunDirectory::Appear() {
  for (int number = 1; number <= kMaxRunsPerSecond; ++number) {
    const std::string candidate = number == 1 ? stem_ : absl::StrCat(stem_, "-", number);
    if (mkdir(candidate.c_str(), 0777) == 0) {
      path_ = candidate;
      return absl::OkStatus();
    }
    if (errno != EEXIST) return CannotWrite(absl::StrCat("cannot make the folder ", candidate), errno);
  }
  return CannotWrite(absl::StrCat("cannot find a free name like ", stem_), EEXIST);
}

absl::Status RunDirectory::Write(const std::string& name, std::string_view bytes) {
  const bool first = path_.empty();
  if (first) INDUCT_RETURN_IF_ERROR(Appear());
  const absl::Status status = WriteFileAtomically(absl::StrCat(path_, "/", name), bytes);
  if (first && !status.ok()) {
    rmdir(path_.c_str());
    path_.clear();
  }
  return WithExitCode(status, ExitCode::kOutput);
}

absl::StatusOr<std::string> RunDirectory::MakeFolder(const std::string& name) {
  const std::string folder = absl::StrCat(path_, "/", name);
  INDUCT_RETURN_IF_ERROR(MakeFolders(folder));
  return folder;
}

}  // namespace induct::client
