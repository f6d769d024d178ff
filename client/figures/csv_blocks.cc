#include "client/figures/csv_blocks.h"

#include "absl/strings/str_cat.h"

namespace induct::client {

CsvBlocks::CsvBlocks(const std::string& name, const std::string& header)
    : name_(name), text_(absl::StrCat(header, "\n")) {}

std::string CsvBlocks::Add(const std::string& rows) {
  absl::StrAppend(&text_, blocks_ == 0 ? "" : "\n\n", rows);
  return absl::StrCat("'", name_, ".csv' skip 1 index ", blocks_++, " using ");
}

}  // namespace induct::client
