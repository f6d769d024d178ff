#include "server/models/model_folders.h"

#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/models/model_name.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;

bool IsModelDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path / "config.json", error);
}

// Where an absolute path lies inside `directory`, its name there; "" elsewhere.
std::string NameInside(const std::string& directory, const std::string& path) {
  const std::string root = fs::absolute(directory).lexically_normal().string();
  const std::string relative = fs::path(path).lexically_normal().lexically_relative(root).string();
  return IsPlainName(relative) ? relative : "";
}

void AddNames(const fs::path& directory, const std::string& prefix, int depth, std::set<std::string>* names) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = prefix + it->path().filename().string();
    std::error_code not_a_folder;
    if (IsModelDirectory(it->path())) {
      names->insert(name);
    } else if (depth > 1 && it->is_directory(not_a_folder)) {
      AddNames(it->path(), name + "/", depth - 1, names);
    }
  }
}

}  // namespace

std::optional<ModelFolders::Folder> ModelFolders::Find(const std::string& name) const {
  for (const std::string& directory : directories_) {
    const std::string inside = name.starts_with("/") ? NameInside(directory, name) : name;
    const fs::path path = fs::path(directory) / inside;
    if (IsPlainName(inside) && IsModelDirectory(path)) return Folder{inside, path.string()};
  }
  return std::nullopt;
}

std::vector<std::string> ModelFolders::Names() const {
  std::set<std::string> names;
  for (const std::string& directory : directories_) AddNames(directory, "", 2, &names);
  return {names.begin(), names.end()};
}

std::vector<std::string> ModelFolders::Problems() const {
  std::vector<std::string> problems;
  for (const std::string& directory : directories_) {
    std::error_code error;
    fs::directory_iterator(directory, error);
    if (error) {
      problems.push_back(
          absl::StrCat("model directory ", fs::absolute(directory).string(), ": ", error.message()));
    }
  }
  return problems;
}

}  // namespace induct::models
