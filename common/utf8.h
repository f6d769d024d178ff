// UTF-8 as Unicode defines it: shortest forms only, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace induct {

// Bytes of the well-formed character that `text` begins with; 0 where it begins with none, or is empty.
size_t Utf8Length(std::string_view text);

bool IsUtf8(std::string_view text);

// Every byte that belongs to no well-formed character becomes U+FFFD.
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace induct
