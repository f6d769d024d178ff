// A CSV in blocks with two empty lines between them, which gnuplot tells apart by `index`.
#pragma once

#include <string>

namespace induct::client {

class CsvBlocks {
 public:
  // `name` is the figure's, `header` names the columns.
  CsvBlocks(const std::string& name, const std::string& header);

  // Adds one row or more, each ending in a newline. How a plot command refers to them: "'<name>.csv' skip 1
  // index 2 using ".
  std::string Add(const std::string& rows);

  const std::string& text() const { return text_; }

 private:
  const std::string name_;
  std::string text_;
  int blocks_ = 0;
};

}  // namespace induct::client
