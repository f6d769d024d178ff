#include "client/table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "client/text.h"

namespace induct::client {

std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> cells = {header};
  cells.insert(cells.end(), rows.begin(), rows.end());
  std::vector<size_t> widths(header.size(), 0);
  for (auto& row : cells) {
    for (size_t i = 0; i < header.size(); ++i) {
      row[i] = Printable(row[i]);
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
  }
  std::string table;
  for (const auto& row : cells) {
    std::string line;
    for (size_t i = 0; i < header.size(); ++i) {
      line += row[i];
      line.append(widths[i] - DisplayWidth(row[i]) + 2, ' ');
    }
    absl::StripTrailingAsciiWhitespace(&line);
    table += line + "\n";
  }
  return table;
}

}  // namespace induct::client
