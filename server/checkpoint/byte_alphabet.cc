#include "server/checkpoint/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

// The characters of the alphabet are U+0021 .. U+0143.
constexpr size_t kCharacters = 0x144;
constexpr int16_t kNoByte = -1;

constexpr bool IsPrintableLatin1(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Printable bytes stand for themselves; the others, in order, for the characters from U+0100 on.
constexpr std::array<int16_t, kCharacters> MakeByteTable() {
  std::array<int16_t, kCharacters> table{};
  table.fill(kNoByte);
  size_t next_substitute = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const size_t character = IsPrintableLatin1(byte) ? static_cast<size_t>(byte) : next_substitute++;
    table[character] = static_cast<int16_t>(byte);
  }
  return table;
}

constexpr std::array<int16_t, kCharacters> kByteOfCharacter = MakeByteTable();

constexpr std::array<char16_t, 256> MakeCharacterTable() {
  std::array<char16_t, 256> table{};
  for (size_t character = 0; character < kCharacters; ++character) {
    if (kByteOfCharacter[character] == kNoByte) continue;
    table[static_cast<size_t>(kByteOfCharacter[character])] = static_cast<char16_t>(character);
  }
  return table;
}

constexpr std::array<char16_t, 256> kCharacterOfByte = MakeCharacterTable();

}  // namespace

std::optional<std::string> BytesOfWritten(std::string_view written) {
  std::string bytes;
  for (size_t at = 0; at < written.size();) {
    const CodePoint point = CodePointAt(written, at);
    at += point.bytes;
    if (point.value >= kCharacters || kByteOfCharacter[point.value] == kNoByte) return std::nullopt;
    bytes.push_back(static_cast<char>(kByteOfCharacter[point.value]));
  }
  return bytes;
}

std::string WrittenOfBytes(std::string_view bytes) {
  std::string written;
  for (const char byte : bytes) AppendUtf8(kCharacterOfByte[static_cast<uint8_t>(byte)], written);
  return written;
}

}  // namespace induct::checkpoint
