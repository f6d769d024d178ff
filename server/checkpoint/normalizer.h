// Unicode normalisation form C (Unicode Standard Annex 15), in linear time.
#pragma once

#include <string>
#include <string_view>

namespace induct::checkpoint {

// Whether `text` holds no character that normalising might change or move; most text. REQUIRES: valid UTF-8.
bool IsSurelyNfc(std::string_view text);

// REQUIRES: valid UTF-8.
std::string NormalizeNfc(std::string_view text);

}  // namespace induct::checkpoint
