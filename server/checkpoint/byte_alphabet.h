// GPT-2's alphabet: a printable character for each byte, in which byte-level vocabularies are written ("Ġ" is
// the space).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace induct::checkpoint {

// `written` in bytes; nothing where it holds a character that stands for no byte. REQUIRES: valid UTF-8.
std::optional<std::string> BytesOfWritten(std::string_view written);

// The other way round: any bytes, written.
std::string WrittenOfBytes(std::string_view bytes);

}  // namespace induct::checkpoint
