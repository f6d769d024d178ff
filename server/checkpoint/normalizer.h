// Unicode normalisation form C (Unicode Standard Annex 15), in linear time.
#pragma once

#include <string>
#include <string_view>

namespace induct::checkpoint {

// REQUIRES: valid UTF-8.
std::string NormalizeNfc(std::string_view text);

}  // namespace induct::checkpoint
