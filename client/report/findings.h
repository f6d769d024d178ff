// What a report says of a result: sentences with their intervals, and what follows from the data.
#pragma once

#include <string>
#include <vector>

#include "client/report/document.h"

namespace induct::client {

struct Findings {
  std::vector<Block> blocks;
  std::vector<std::string> limits;      // that follow from the data, a sentence each
  std::vector<std::string> next_steps;  // likewise
};

}  // namespace induct::client
