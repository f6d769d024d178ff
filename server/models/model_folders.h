// The models in folders of the operator's: "name" or "org/name" under one of the model directories.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace induct::models {

// Reads the disk at every call. Safe for concurrent use.
class ModelFolders {
 public:
  // Where two directories hold one name, the earlier wins.
  explicit ModelFolders(std::vector<std::string> directories) : directories_(std::move(directories)) {}

  struct Folder {
    std::string name;  // under its model directory: a path and a name mean one model
    std::string path;
  };
  // By name, or by an absolute path inside a model directory. What would leave them is not found.
  std::optional<Folder> Find(const std::string& name) const;

  // Of every model there is, sorted.
  std::vector<std::string> Names() const;

  // One sentence for each directory that is missing or can't be read.
  std::vector<std::string> Problems() const;

  const std::vector<std::string>& directories() const { return directories_; }

 private:
  const std::vector<std::string> directories_;
};

}  // namespace induct::models
