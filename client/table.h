// Tables on standard output.
#pragma once

#include <string>
#include <vector>

namespace induct::client {

// Columns as wide as their widest cell, two spaces between them; control characters in cells are escaped.
// Every row has as many cells as `header`.
std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows);

}  // namespace induct::client
