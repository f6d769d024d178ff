#include "server/checkpoint/folder.h"

#include <filesystem>
#include <system_error>

namespace induct::checkpoint {

std::string PathIn(const std::string& directory, std::string_view file) {
  return (std::filesystem::path(directory) / file).string();
}

bool ExistsIn(const std::string& directory, std::string_view file) {
  std::error_code error;
  return std::filesystem::exists(PathIn(directory, file), error);
}

}  // namespace induct::checkpoint
