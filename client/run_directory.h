// The folder that one run leaves: outputs/runs/<YYYYMMDD-HHMMSS>-<command>-<model>/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace induct::client {

// Every error has the exit code kOutput and names the path. One thread at a time may use it.
class RunDirectory {
 public:
  // Makes <output_dir>/runs and checks that it can be written to. The run's own folder appears with its first
  // file. `model` is a DirectoryPart; `zone` is that of the folder's name.
  static absl::StatusOr<RunDirectory> Prepare(const std::string& output_dir, const std::string& command,
                                              const std::string& model, absl::Time now,
                                              absl::TimeZone zone = absl::LocalTimeZone());

  // Writes <folder>/<name> whole or not at all; `name` may stand in one subfolder.
  absl::Status Write(const std::string& name, std::string_view bytes);

  // Makes a subfolder. REQUIRES: a file was written.
  absl::StatusOr<std::string> MakeFolder(const std::string& name);

  // Empty until the first file.
  const std::string& path() const { return path_; }

 private:
  explicit RunDirectory(std::string stem) : stem_(std::move(stem)) {}
  absl::Status Appear();

  std::string stem_;  // the path that it gets where nobody else has it
  std::string path_;
};

// How a folder's name tells the models, by their names: "gpt2", "demo-small+2" for three.
std::string DirectoryPart(const std::vector<std::string>& models);

// Makes `path` and the folders above it where they are missing; exit code kOutput where that can't be done.
absl::Status MakeFolders(const std::string& path);

}  // namespace induct::client
