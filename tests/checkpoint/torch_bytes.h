// Zip files and pickles put together by hand, to damage them where it hurts.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace induct::checkpoint {

template <typename Number>
std::string Bytes(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

// An entry as it is written into a zip file, each field free to lie.
struct ZipPart {
  std::string name;
  std::string bytes;
  uint16_t flags = 0;
  uint16_t method = 0;
  int64_t size_off = 0;         // added to the size in the directory
  int64_t header_off = 0;       // added to the place in the directory
  std::string local_name = "";  // where the local header has another one
};

// The zip file of `parts`. Sizes and places stand in zip64 fields where `zip64` says so.
inline std::string ZipBytes(const std::vector<ZipPart>& parts, bool zip64 = false) {
  std::string file;
  std::string directory;
  for (const ZipPart& part : parts) {
    const uint64_t place = file.size() + static_cast<uint64_t>(part.header_off);
    const uint64_t size = part.bytes.size() + static_cast<uint64_t>(part.size_off);
    const std::string& local_name = part.local_name.empty() ? part.name : part.local_name;
    const auto name_bytes = static_cast<uint16_t>(part.name.size());
    file += "PK\x03\x04" + Bytes<uint16_t>(0) + Bytes(part.flags) + Bytes(part.method) +
            std::string(16, '\0') + Bytes(static_cast<uint16_t>(local_name.size())) + Bytes<uint16_t>(3) +
            local_name + "pad" + part.bytes;
    const std::string extra = zip64 ? Bytes<uint16_t>(9) + Bytes<uint16_t>(2) + "xx" + Bytes<uint16_t>(1) +
                                          Bytes<uint16_t>(24) + Bytes(size) + Bytes(size) + Bytes(place)
                                    : "";
    const uint32_t size32 = zip64 ? 0xFFFFFFFFu : static_cast<uint32_t>(size);
    const uint32_t place32 = zip64 ? 0xFFFFFFFFu : static_cast<uint32_t>(place);
    directory += "PK\x01\x02" + Bytes<uint32_t>(0) + Bytes(part.flags) + Bytes(part.method) +
                 std::string(8, '\0') + Bytes(size32) + Bytes(size32) + Bytes(name_bytes) +
                 Bytes(static_cast<uint16_t>(extra.size())) + std::string(10, '\0') + Bytes(place32) +
                 part.name + extra;
  }
  const uint64_t place = file.size();
  const uint64_t size = directory.size();
  file += directory;
  const uint64_t n = parts.size();
  if (zip64) {
    const uint64_t record = file.size();
    file += "PK\x06\x06" + Bytes<uint64_t>(44) + std::string(12, '\0') + Bytes(n) + Bytes(n) + Bytes(size) +
            Bytes(place) + "PK\x06\x07" + Bytes<uint32_t>(0) + Bytes(record) + Bytes<uint32_t>(1);
  }
  const auto n16 = static_cast<uint16_t>(zip64 ? 0xFFFF : n);
  return file + "PK\x05\x06" + Bytes<uint32_t>(0) + Bytes(n16) + Bytes(n16) +
         Bytes(static_cast<uint32_t>(zip64 ? 0xFFFFFFFF : size)) +
         Bytes(static_cast<uint32_t>(zip64 ? 0xFFFFFFFF : place)) + Bytes<uint16_t>(0);
}

// Pieces of pickles, without memo.
inline std::string PickledText(std::string_view text) {
  return "X" + Bytes(static_cast<uint32_t>(text.size())) + std::string(text);
}
inline std::string PickledNumber(int64_t number) { return "\x8a\x08" + Bytes(number); }
inline std::string PickledNumbers(const std::vector<int64_t>& numbers) {
  std::string pickle = "(";
  for (const int64_t number : numbers) pickle += PickledNumber(number);
  return pickle + "t";
}
inline std::string PickledStorage(const std::string& type, const std::string& key, int64_t numbers) {
  return "(" + PickledText("storage") + "ctorch\n" + type + "\n" + PickledText(key) + PickledText("cpu") +
         PickledNumber(numbers) + "tQ";
}
inline std::string PickledArray(const std::string& storage, int64_t offset,
                                 const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + PickledNumber(offset) + PickledNumbers(sizes) +
         PickledNumbers(strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
}
// The dictionary of `items`, keys and values in turn.
inline std::string PickledDict(const std::vector<std::string>& items) {
  std::string pickle = "\x80\x02}(";
  for (const std::string& item : items) pickle += item;
  return pickle + "u.";
}

// What torch.save writes, with `pickle` and one storage of `storage` bytes.
inline std::vector<ZipPart> TorchParts(const std::string& pickle, const std::string& storage) {
  return {{.name = "m/data.pkl", .bytes = pickle},
          {.name = "m/byteorder", .bytes = "little"},
          {.name = "m/data/0", .bytes = storage},
          {.name = "m/version", .bytes = "3\n"}};
}

}  // namespace induct::checkpoint
