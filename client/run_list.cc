#include "client/run_list.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "common/file_names.h"
#include "common/status.h"

namespace induct::client {
namespace {

namespace fs = std::filesystem;

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

absl::StatusOr<std::vector<std::string>> Folders(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> folders;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (IsFolder(entry->path())) folders.push_back(entry->path().string());
  }
  if (error) return absl::InvalidArgumentError(absl::StrCat("cannot list ", folder, ": ", error.message()));
  return folders;
}

absl::StatusOr<std::vector<std::string>> RunFolders(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) {
    return WithExitCode(
        absl::NotFoundError(absl::StrCat("there is no folder ", folder, ": no run was saved there")),
        ExitCode::kUsage);
  }
  if (!IsFolder(folder)) return absl::InvalidArgumentError(absl::StrCat(folder, " is no folder"));
  if (fs::exists(fs::path(folder) / kMetadataFile, error)) return std::vector<std::string>{folder};
  const fs::path runs = fs::path(folder) / "runs";
  return Folders(IsFolder(runs) ? runs.string() : folder);
}

}  // namespace

absl::StatusOr<RunList> ReadRuns(const std::string& folder) {
  INDUCT_ASSIGN_OR_RETURN(std::vector<std::string> paths, RunFolders(folder));
  std::sort(paths.begin(), paths.end());
  RunList list;
  for (const std::string& path : paths) {
    auto run = ReadRun(path);
    if (run.ok()) {
      list.runs.push_back(*std::move(run));
    } else {
      list.problems.emplace_back(run.status().message());
    }
  }
  std::stable_sort(list.runs.begin(), list.runs.end(), [](const SavedRun& a, const SavedRun& b) {
    return a.metadata.created() < b.metadata.created();
  });
  return list;
}

}  // namespace induct::client
