#include "tests/engine/safetensors_file.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace induct::engine {

StoredTensors ReadSafetensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  file.exceptions(std::ios::failbit | std::ios::badbit);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof(header_size));
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(sizeof(header_size), header_size));

  StoredTensors tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto offsets = entry.at("data_offsets").get<std::vector<size_t>>();
    tensors[name] = {
        .shape = entry.at("shape").get<std::vector<int64_t>>(),
        .bytes = bytes.substr(sizeof(header_size) + header_size + offsets[0], offsets[1] - offsets[0])};
  }
  return tensors;
}

}  // namespace induct::engine
