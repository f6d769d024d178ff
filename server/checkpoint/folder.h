// Files of a checkpoint's folder by their names.
#pragma once

#include <string>
#include <string_view>

namespace induct::checkpoint {

std::string PathIn(const std::string& directory, std::string_view file);

// Whether there is something of that name, a link followed.
bool ExistsIn(const std::string& directory, std::string_view file);

}  // namespace induct::checkpoint
